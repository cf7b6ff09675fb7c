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


def load_run_config(
    args: argparse.Namespace, *, stages: bool = False
) -> Config:
    """Return the config of a tool's arguments, ready for a Runner.

    Args:
        stages: the tool runs ``stages``, too.

    Raises:
        FileNotFoundError: no such config.
        KeyError: a key is misspelt, in the file or in ``--cfg-options``.
        TypeError: a value is of another kind than a run can use.
        ValueError: the config cannot be read.
    """
    config = read_config(args.config, args.cfg_options, stages=stages)
    check_values(config)
    check_keys(config)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return config


def read_config(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    stages: bool = False,
) -> Config:
    """Load a config and merge ``--cfg-options`` (see `apply_options`).

    Whatever is wrong in the file is a ValueError.

    Args:
        stages: one with ``stages`` and no ``model`` will do.
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
    if 'stages' in config and 'model' not in config and not stages:
        raise ValueError(
            f'config="{name}" has stages and no model: give the config of one '
            'stage, which its training writes as WORK_DIR/NAME/NAME.py'
        )
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
    config.merge_from_dict(
        {_of_stage(key, config): value for key, value in options.items()}
    )


def _of_stage(key: str, config: Config) -> str:
    """Return ``stages.0.…`` for ``stages.NAME.…``, and other keys as is.

    Raises:
        KeyError: there is no such stage.
    """
    top, _, rest = key.partition('.')
    name, dot, rest = rest.partition('.')
    stages = config.get('stages')
    is_name = name and not name.isdigit()
    if top != 'stages' or not isinstance(stages, list) or not is_name:
        return key
    names = [s.get('name') if isinstance(s, Mapping) else s for s in stages]
    if name not in names:
        raise KeyError(
            f'--cfg-options {key}: there is no stage "{name}"'
            f'{offer(name, map(str, names))}; the config has '
            f'{", ".join(map(str, names))}'
        )
    return f'stages.{names.index(name)}{dot}{rest}'
