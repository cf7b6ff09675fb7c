"""Random numbers that depend on the step alone."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.registry import HOOKS
from mmkd.utils.seeding import STREAMS, seed_generators


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed every generator at every step, so that resuming is exact.

    The random numbers of step k (dropout, sampling, augmentation of whole
    batches) follow from (``randomness.seed``, rank, k) alone: neither an
    interruption nor a validation in between changes them, and no random
    state is saved. It costs some ten microseconds per step. The numbers of
    single samples are those of `ExactDataLoader`.

    The tools of mmkd put it into every run.
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

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed alike in every validation."""
        seed_step(runner, 'val', batch_idx)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Undo what validation drew."""
        seed_step(runner, 'data', runner.iter)


def seed_step(runner: Runner, stream: str, step: int) -> None:
    """Seed Python, NumPy and torch for one step on this rank.

    Args:
        runner: its ``seed`` is used.
        stream: ``'data'`` (between steps), ``'model'`` (forward) or
            ``'val'``.
        step: number of steps done before.
    """
    seed_generators(runner.seed or 0, get_rank(), step, STREAMS[stream])
