"""Random numbers that depend on the step alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.registry import HOOKS

_STREAMS = dict(data=0, model=1)


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed every generator at every step, so that resuming is exact.

    The random numbers of step k (augmentation, dropout, sampling) follow
    from (``randomness.seed``, rank, k) alone: neither an interruption nor a
    validation in between changes them, and no random state is saved. It
    costs some ten microseconds per step. Worker processes of a data loader
    (``num_workers`` > 0) have generators of their own: the order of samples
    stays exact, their augmentation starts afresh after an interruption.
    """

    priority = 'LOWEST'

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed before the first batch is fetched."""
        seed_step(runner, 'data', runner.iter)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed before the forward pass."""
        seed_step(runner, 'model', runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Seed before the next batch is fetched."""
        seed_step(runner, 'data', runner.iter + 1)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Undo what validation drew."""
        seed_step(runner, 'data', runner.iter)


def seed_step(runner: Runner, stream: str, step: int) -> None:
    """Seed Python, NumPy and torch for one step on this rank.

    Args:
        runner: its ``seed`` is used.
        stream: ``'data'`` (fetching) or ``'model'`` (forward).
        step: number of steps done before.
    """
    entropy = (runner.seed or 0, get_rank(), step, _STREAMS[stream])
    first, second = np.random.SeedSequence(entropy).generate_state(2)
    random.seed(int(first))
    np.random.seed(int(first))
    torch.manual_seed(int(second))
