"""Checks and changes of a config that is trained."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

from mmkd.checkpoints.fit import OPTION, check_load_from
from mmkd.checkpoints.last import describe_last
from mmkd.checkpoints.read import describe_keys, read_checkpoint
from mmkd.cli.runner import is_exact
from mmkd.engine.hooks.safe_checkpoint_hook import (
    choose_resumed,
    saved_files,
)
from mmkd.utils.dist import unwrapped
from mmkd.utils.types import type_name


def use_mixed_precision(config: Config) -> None:
    """Make the optimizer wrapper of ``config`` one of mixed precision.

    Raises:
        ValueError: the wrapper has none.
    """
    wrapper = type_name(config.optim_wrapper.get('type', 'OptimWrapper'))
    mixed = ('AmpOptimWrapper', 'AutocastOptimWrapper')
    if wrapper not in ('OptimWrapper', *mixed):
        raise ValueError(
            f'--amp: optim_wrapper.type={wrapper} has no mixed precision; '
            'use type="OptimWrapper" in the config'
        )
    if wrapper == 'AutocastOptimWrapper':
        return
    if torch.cuda.is_available():
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    else:  # mmengine's wrapper refuses CPUs; bfloat16 needs no loss scale
        config.optim_wrapper.type = 'mmkd.AutocastOptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            config.optim_wrapper.pop(key, None)


def check_batch_size(config: Config) -> None:
    """Refuse a sampler that forms batches of another size than the loader."""
    loader = config.get('train_dataloader') or {}
    formed = (loader.get('sampler') or {}).get('batch_size')
    if formed not in (None, loader.get('batch_size')):
        raise ValueError(
            f'train_dataloader.sampler.batch_size={formed}, but '
            f'train_dataloader.batch_size={loader.get("batch_size")}: the '
            "sampler's groups would be torn apart; set both alike"
        )


def choose_start(runner: Runner, load_from: str | None) -> None:
    """Find the file to resume; without one the run starts as configured."""
    choose_resumed(runner)
    if not getattr(runner, '_resume', False) or runner._load_from is not None:
        return
    if find_latest_checkpoint(runner.work_dir) is None:
        runner.logger.info('nothing to resume: the run starts anew')
        runner._resume, runner._load_from = False, load_from


def check_start(runner: Runner) -> None:
    """Refuse to start from a file of another model."""
    path = runner._load_from
    if path is not None and not getattr(runner, '_resume', False):
        partial = bool(runner.cfg.get(OPTION, False))
        model = unwrapped(runner.model)
        runner.logger.info(check_load_from(model, path, partial))


def check_resumed(runner: Runner) -> None:
    """Refuse to resume from a file of another model, or a broken one.

    mmengine would only warn and go on with what fits. The seed is that of
    the resumed run.

    Raises:
        ValueError: entries are missing, unexpected, of other shape, or not
            finite (weights, and banks and queues of losses).
    """
    if not getattr(runner, '_resume', False):
        return
    path = runner._load_from or find_latest_checkpoint(runner.work_dir)
    if path is None:
        return
    content = read_checkpoint(path)
    _take_seed(runner, content.get('meta', {}).get('seed'))
    saved = content['state_dict']
    own = unwrapped(runner.model).state_dict()
    wrong = sorted(saved.keys() ^ own.keys()) + sorted(
        key
        for key in saved.keys() & own.keys()
        if saved[key].shape != own[key].shape
    )
    if wrong:
        raise ValueError(
            f'--resume {path}: {len(wrong)} entries do not fit the model of '
            f'the config ({", ".join(wrong[:3])}, ...); resume with the '
            'config of that run, or start anew in another --work-dir'
        )
    broken = sorted(k for k, v in saved.items() if _broken(v, own[k]))
    if broken:
        raise ValueError(
            f'--resume {path}: what is not finite cannot be gone on from: '
            f'{describe_keys(broken, 3)}; resume from an earlier checkpoint, '
            '--resume FILE, or start anew in another --work-dir'
        )


def _take_seed(runner: Runner, seed: int | None) -> None:
    """Go on with the seed of the resumed run, before samplers are built."""
    if seed is None or seed == runner.seed or not is_exact(runner.cfg):
        return
    asked = runner._randomness_cfg.get('seed')
    if asked is not None:
        runner.logger.warning(
            f'randomness.seed={asked} is not that of the resumed run, which '
            f'goes on with {seed}'
        )
    runner._randomness_cfg = dict(runner._randomness_cfg, seed=seed)
    runner.set_randomness(**runner._randomness_cfg)


def _broken(saved: Any, own: Any) -> bool:
    """Whether an entry is not finite where the model of the config is.

    Masks hold infinities from the start.
    """
    if not isinstance(saved, torch.Tensor) or not saved.is_floating_point():
        return False
    finite = saved.isfinite()
    return not bool((finite | ~own.to(finite.device).isfinite()).all())


def warn_of_ramps(runner: Runner) -> None:
    """Say where a loss is never given its whole weight.

    Weights that grow over epochs are counted by mmengine's epochs, which
    iteration loops do not count.
    """
    epochs = (runner.cfg.get('train_cfg') or {}).get('max_epochs')
    for name, module in unwrapped(runner.model).named_modules():
        for key in ('warmup_epochs', 'ramp_epochs'):
            length = getattr(module, key, 0)
            if not isinstance(length, int) or length <= max(epochs or 0, 1):
                continue
            length_of_run = (
                f'the run has {epochs} epochs'
                if epochs
                else 'the run counts iterations, not epochs'
            )
            runner.logger.warning(
                f'model.{name}.{key}={length}, but {length_of_run}: the loss '
                f'never gets its whole weight; lower {key}, 0 for none'
            )


def train(runner: Runner) -> None:
    """Train; where numbers are not finite, say what can be gone on from.

    Raises:
        FloatingPointError: names the last intact checkpoint.
    """
    try:
        runner.train()
    except FloatingPointError as error:
        last = describe_last(saved_files(runner))
        raise FloatingPointError(f'{error}. {last}') from error
