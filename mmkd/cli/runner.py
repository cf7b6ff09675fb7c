"""The runner of a config, on one process or several, with GPUs or not."""

from __future__ import annotations

import logging
import os

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import distributed, nn

from mmkd.engine.hooks.safe_checkpoint_hook import make_checkpoints_safe
from mmkd.networks import inherit_preprocessor, keep_library_weights

_ALL_REDUCE_ON_CPU = 'gloo'


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

    Raises:
        ValueError: see `start_processes` and `inherit_preprocessor`.
    """
    start_processes(config)
    inherit_preprocessor(config.get('model'), config.get('data_preprocessor'))
    if 'runner_type' in config:
        runner = RUNNERS.build(config)
    else:
        runner = _Runner.from_cfg(config)
    keep_library_weights(runner.model)
    make_checkpoints_safe(runner)
    return runner
