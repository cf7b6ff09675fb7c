"""The runner of a config, on one process or several, with GPUs or not."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MMLogger, print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, RUNNERS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch import distributed, nn
from torch.utils.data import DataLoader

from mmkd.cli.keys import offer
from mmkd.cli.paramwise import check_custom_keys
from mmkd.cli.quiet import keep_dumps_off_terminal, log_files
from mmkd.cli.signatures import parameters_of
from mmkd.cli.swallowed import check_swallowed
from mmkd.datasets.bad_samples import BadSamplePolicy
from mmkd.datasets.named_samples import name_samples
from mmkd.engine.hooks.equal_batches_hook import EqualBatchesHook
from mmkd.engine.hooks.finite_gradient_hook import FiniteGradientHook
from mmkd.engine.hooks.rank_mean_hook import RankMeanHook
from mmkd.engine.hooks.safe_checkpoint_hook import make_checkpoints_safe
from mmkd.engine.hooks.sample_index_hook import SampleIndexHook
from mmkd.engine.hooks.step_seed_hook import StepSeedHook
from mmkd.engine.hooks.terminal_line_hook import TerminalLineHook
from mmkd.engine.loops.exact import exact_loop
from mmkd.networks import inherit_preprocessor, keep_library_weights

_ALL_REDUCE_ON_CPU = 'gloo'
_STOCK = 'MMDistributedDataParallel'
_OWN_STEP = 'mmkd.PhasedDistributedDataParallel'


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
    strategy: Any = config.get('strategy') or {}
    if strategy.get('type') == 'FSDPStrategy':
        wrapper = dict(type='MMFullyShardedDataParallel')
        wrapper |= dict(strategy.get('model_wrapper') or {})
        strategy.model_wrapper = dict(
            wrapper, device_id=torch.device('cpu')
        )  # mmengine's default is a GPU
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


class _ToolRunner(Runner):
    """What mmkd's tools add to a runner class, mmengine's or a user's.

    The terminal is spared long dumps, errors of samples are named, SyncBN
    layers become BN layers on CPUs, a distiller with a step of its own
    gets the wrapper that runs it on several processes, and loops resume
    exactly.
    """

    def build_train_loop(self, loop: Any) -> BaseLoop:
        """Build a loop that resumes exactly."""
        if is_exact(self.cfg) and isinstance(loop, dict):
            kind, keys = exact_loop(loop)
            if kind is not None:
                data = self._train_dataloader
                return kind(**keys, runner=self, dataloader=data)
        return super().build_train_loop(loop)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build a logger that keeps long dumps for its file."""
        logger = super().build_logger(*args, **kwargs)
        keep_dumps_off_terminal(logger)
        for file in log_files(logger):
            logger.info(f'environment, config and hooks: {file}')
        return logger

    def build_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        """Build a data loader whose errors name the sample."""
        policy = BadSamplePolicy.of(self.cfg.get('bad_samples'))
        with policy.applied():
            loader = super().build_dataloader(*args, **kwargs)
        name_samples(loader.dataset, policy)
        return loader

    def wrap_model(
        self, model_wrapper_cfg: dict | None, model: nn.Module
    ) -> nn.Module:
        if not torch.cuda.is_available():
            model = revert_sync_batchnorm(model)  # refused by DDP on CPUs
        if self.distributed and getattr(model, 'has_own_step', False):
            given = dict(model_wrapper_cfg or {})
            if given.get('type', _STOCK) == _STOCK:
                given.setdefault('broadcast_buffers', False)
                model_wrapper_cfg = dict(given, type=_OWN_STEP)
        return super().wrap_model(model_wrapper_cfg, model)


def is_exact(config: Config) -> bool:
    """Whether a run is to resume exactly.

    Raises:
        TypeError: ``exact_resume`` is no bool.
    """
    asked = config.get('exact_resume', True)
    if not isinstance(asked, bool):
        raise TypeError(
            f'exact_resume={asked!r} must be True or False; leave it out for '
            'True'
        )
    return asked


def _runner_class(name: str) -> type[Runner]:
    """Return the runner class ``name`` with what mmkd's tools add to it.

    Raises:
        KeyError: there is no such class.
    """
    given = RUNNERS.get(name)
    if given is None:
        raise KeyError(
            f'runner_type={name!r} is no registered runner'
            f'{offer(name, RUNNERS.module_dict)}: import the module that '
            'registers it by custom_imports, or remove the key'
        )
    if not issubclass(given, Runner):
        return given
    return type(given.__name__, (_ToolRunner, given), {})


def _check_checkpoint_hooks(hooks: Iterable[Hook]) -> None:
    """Refuse keys that would be found wrong at the first save.

    Raises:
        KeyError: names the key and the nearest ones.
    """
    for hook in hooks:
        if isinstance(hook, CheckpointHook) and hook.args:
            key = next(iter(hook.args))
            known = parameters_of(CheckpointHook)
            raise KeyError(
                f'default_hooks.checkpoint has the unknown key "{key}"'
                f'{offer(key, known)}; it knows {", ".join(known)}'
            )


def build_runner(config: Config) -> Runner:
    """Start the processes of ``config`` and build its runner.

    Its checkpoints survive kills (see `SafeCheckpointHook`), and it stops
    before a step with a non-finite gradient (see `FiniteGradientHook`). On a
    terminal it shows its progress (see `TerminalLineHook`). Indices of
    samples are looked at before they fill banks (see `SampleIndexHook`), and
    losses of several processes are logged as means (see `RankMeanHook`);
    their numbers of batches are compared (see `EqualBatchesHook`).
    Resumed, it goes on exactly, unless ``exact_resume=False`` in the config
    (see `ResumableEpochBasedTrainLoop`, `StepSeedHook`).

    Raises:
        ValueError: see `start_processes` and `inherit_preprocessor`.
    """
    start_processes(config)
    inherit_preprocessor(config.get('model'), config.get('data_preprocessor'))
    runner = _runner_class(config.get('runner_type', 'Runner')).from_cfg(
        config
    )
    if isinstance(runner.model, Mapping):  # a FlexibleRunner's, before train
        runner.model = MODELS.build(runner.model)
    keep_library_weights(runner.model)
    make_checkpoints_safe(runner)
    hooks = getattr(runner, 'hooks', ())
    _check_checkpoint_hooks(hooks)
    check_swallowed(config)
    check_custom_keys(config, runner.model)
    kinds = [
        EqualBatchesHook,
        FiniteGradientHook,
        RankMeanHook,
        SampleIndexHook,
        TerminalLineHook,
    ]
    if is_exact(config):
        kinds.append(StepSeedHook)
    for kind in kinds:
        if not any(isinstance(hook, kind) for hook in hooks):
            runner.register_hook(kind())
    return runner
