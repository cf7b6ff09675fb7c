"""From command-line arguments to a run: what the tools share."""

from __future__ import annotations

import argparse
import difflib
import inspect
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import distributed, nn

from mmkd.engine.hooks.safe_checkpoint_hook import make_checkpoints_safe
from mmkd.networks import load_config

# Top-level keys that mmengine reads beside the arguments of its Runner.
_EXTRA_KEYS = {
    'activation_checkpointing',
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'detect_anomalous_params',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'load_from_partial',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
}
_ALL_REDUCE_ON_CPU = 'gloo'


class ConfigOptions(DictAction):
    """KEY=VALUE pairs; what cannot be read ends the program with a line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Read the pairs."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, RecursionError, ValueError):
            parser.error(
                f'{option_string} {" ".join(values)}: not KEY=VALUE with a '
                'number, a word, [a,b] or (a,b). A dict is given entry by '
                'entry, e.g. default_hooks.pruning.type=mmkd.'
                'SoftFilterPruningHook default_hooks.pruning.method=sfp'
            )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that reads a config."""
    parser.add_argument('config', help='path, or package::path')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='changes to the config, e.g. train_dataloader.batch_size=4',
    )
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from (also: MMKD_TRACEBACK=1)',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the tools that run a config."""
    add_config_arguments(parser)
    parser.add_argument(
        '--work-dir', help='default: work_dirs/<name of the config>'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    # torch.distributed.launch writes one, torchrun none, old versions both.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_checkpoint_arguments(
    parser: argparse.ArgumentParser,
    peers: argparse._ActionsContainer | None = None,
) -> None:
    """Add the arguments of the tools that read a checkpoint.

    Args:
        parser: of the tool.
        peers: its group for the choice of a peer, if it has one.
    """
    parser.add_argument('checkpoint', help='of a network or of a distiller')
    (peers or parser).add_argument(
        '--peer', type=int, help='of a cohort; default: the deployed one'
    )
    add_allow_pickle(parser)


def add_allow_pickle(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-pickle`` (see `read_checkpoint`)."""
    parser.add_argument(
        '--allow-pickle',
        action='store_true',
        help='read a checkpoint that holds more than weights; only for files '
        'you trust',
    )


def add_input_shape(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add ``--input-shape``, an input for this purpose."""
    parser.add_argument(
        '--input-shape',
        nargs=3,
        type=int,
        metavar=('C', 'H', 'W'),
        help=purpose,
    )


def load_run_config(args: argparse.Namespace) -> Config:
    """Return the config of a tool's arguments, ready for a Runner.

    Raises:
        FileNotFoundError: no such config.
        KeyError: ``--cfg-options`` names an unknown top-level key.
        ValueError: the config cannot be read.
    """
    config = read_config(args.config, args.cfg_options)
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
    except Exception as error:  # a config is a program: anything may happen
        raise ValueError(
            f'config="{name}" cannot be read: {type(error).__name__}: '
            f'{error}; correct the file or its _base_'
        ) from error
    apply_options(config, options or {})
    return config


def apply_options(config: Config, options: Mapping[str, Any]) -> None:
    """Merge ``--cfg-options`` into ``config``.

    Raises:
        KeyError: a top-level key is neither in the config nor known.
    """
    known = {*inspect.signature(Runner).parameters, *_EXTRA_KEYS}
    for key in options:
        top = key.partition('.')[0]
        if top not in known and top not in config:
            near = difflib.get_close_matches(top, {*known, *config}, n=3)
            raise KeyError(
                f'--cfg-options {key}: the config has no key "{top}"'
                + (f'; nearest: {", ".join(near)}' if near else '')
            )
        if top not in known:
            print_log(
                f'--cfg-options {key}: "{top}" is a variable of the config '
                'file; what the file computed from it stays as it was',
                logger='current',
                level=logging.WARNING,
            )
    config.merge_from_dict(dict(options))


def start_processes(config: Config) -> None:
    """Make a distributed config run on a machine without GPU.

    mmengine asks for a CUDA device in every distributed run; here the
    process group is started before with gloo, which works on CPUs.

    Raises:
        ValueError: a launcher that cannot be used without GPU.
    """
    launcher = config.get('launcher', 'none')
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ValueError(
            f'--launcher {launcher}: torch sees no GPU, and without one only '
            '--launcher pytorch works; use torchrun (tools/dist_train.sh)'
        )
    if 'RANK' not in os.environ:
        raise KeyError(
            '--launcher pytorch: the variable RANK is not set; start with '
            'torchrun (tools/dist_train.sh CONFIG GPUS)'
        )
    if not distributed.is_initialized():
        distributed.init_process_group(_ALL_REDUCE_ON_CPU)
    config.setdefault('env_cfg', {})
    config.env_cfg.dist_cfg = dict(backend=_ALL_REDUCE_ON_CPU)
    config.setdefault(
        'model_wrapper_cfg',
        dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=config.get('find_unused_parameters', False),
        ),
    )
    config.model_wrapper_cfg.device_ids = None
    synchronized = config.pop('sync_bn', None)
    print_log(
        'no GPU: the processes use gloo instead of nccl, on CPUs'
        + (
            f'; sync_bn={synchronized!r} is off (SyncBN needs GPUs)'
            if synchronized
            else ''
        ),
        logger='current',
        level=logging.WARNING,
    )


class _Runner(Runner):
    """A Runner that makes BN layers of SyncBN layers on CPUs."""

    def wrap_model(
        self, model_wrapper_cfg: dict | None, model: nn.Module
    ) -> nn.Module:
        if not torch.cuda.is_available():
            model = revert_sync_batchnorm(model)  # refused by DDP on CPUs
        return super().wrap_model(model_wrapper_cfg, model)


def build_runner(config: Config) -> Runner:
    """Start the processes of ``config`` and build its runner.

    Its checkpoints survive kills (see `SafeCheckpointHook`).
    """
    start_processes(config)
    if 'runner_type' in config:
        runner = RUNNERS.build(config)
    else:
        runner = _Runner.from_cfg(config)
    make_checkpoints_safe(runner)
    return runner
