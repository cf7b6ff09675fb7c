"""The config that a command line asks for."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmkd.cli.keys import RUN_KEYS, check_keys, offer
from mmkd.cli.values import check_values
from mmkd.networks import load_config


def load_run_config(args: argparse.Namespace) -> Config:
    """Return the config of a tool's arguments, ready for a Runner.

    Raises:
        FileNotFoundError: no such config.
        KeyError: a key is misspelt, in the file or in ``--cfg-options``.
        TypeError: a value is of another kind than a run can use.
        ValueError: the config cannot be read.
    """
    config = read_config(args.config, args.cfg_options)
    check_values(config)
    check_keys(config)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return config


def read_config(name: str, options: Mapping[str, Any] | None = None) -> Config:
    """Load a config and merge ``--cfg-options`` (see `apply_options`).

    Whatever is wrong in the file is a ValueError.
    """
    try:
        config = load_config(name)
    except (FileNotFoundError, ImportError):
        raise
    except TypeError as error:
        if 'import_modules_from_strings' not in str(error):
            raise _unreadable(name, error) from error
        raise TypeError(
            f'config="{name}": custom_imports must be dict(imports=[...], '
            f'allow_failed_imports=False) ({str(error).rpartition("()")[2]})'
        ) from error
    except Exception as error:  # a config is a program: anything may happen
        raise _unreadable(name, error) from error
    apply_options(config, options or {})
    return config


def _unreadable(name: str, error: Exception) -> ValueError:
    return ValueError(
        f'config="{name}" cannot be read: {type(error).__name__}: {error}; '
        'correct the file or its _base_'
    )


def apply_options(config: Config, options: Mapping[str, Any]) -> None:
    """Merge ``--cfg-options`` into ``config``.

    Raises:
        KeyError: a top-level key is neither in the config nor known.
    """
    for key in options:
        top = key.partition('.')[0]
        if top not in RUN_KEYS and top not in config:
            raise KeyError(
                f'--cfg-options {key}: the config has no key "{top}"'
                f'{offer(top, [*RUN_KEYS, *config])}'
            )
        if top not in RUN_KEYS:
            print_log(
                f'--cfg-options {key}: "{top}" is a variable of the config '
                'file; what the file computed from it stays as it was',
                logger='current',
                level=logging.WARNING,
            )
    config.merge_from_dict(dict(options))
