"""Hooks that act at intervals of epochs or of iterations."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner


class IntervalHook(Hook):
    """Calls `act` after every n-th epoch or iteration, and after the last.

    By epochs it acts after the first one, too.

    Args:
        interval: epochs, or iterations, from one action to the next.
        by_epoch: False in a loop of iterations.

    Raises:
        ValueError: ``interval`` is not positive.
    """

    def __init__(self, interval: int = 1, by_epoch: bool = True) -> None:
        if interval < 1:
            raise ValueError(
                f'{type(self).__name__}: interval={interval} must be at least '
                '1; set e.g. interval=1'
            )
        self.interval = interval
        self.by_epoch = by_epoch

    def act(self, runner: Runner, t: int, done: int) -> None:
        """Do what the hook is for.

        Args:
            runner: of the training.
            t: number of the epoch, or of the interval, from 0.
            done: iterations done so far.
        """
        raise NotImplementedError

    def count_steps(self, runner: Runner) -> int:
        """Return the number of epochs, or of whole intervals of iterations.

        Raises:
            ValueError: the loop has no epochs, or is shorter than an
                interval.
        """
        name = type(self).__name__
        if self.by_epoch:
            if isinstance(runner.train_loop, IterBasedTrainLoop):
                raise ValueError(
                    f'{name}: by_epoch=True, but the loop '
                    f'{type(runner.train_loop).__name__} has no epochs; set '
                    'by_epoch=False and interval to a number of iterations'
                )
            return runner.max_epochs
        if self.interval > runner.max_iters:
            raise ValueError(
                f'{name}: interval={self.interval} is longer than the '
                f'training of {runner.max_iters} iterations; set a shorter '
                'one'
            )
        return runner.max_iters // self.interval

    def after_train_epoch(self, runner: Runner) -> None:
        """Act after the first, every n-th and the last epoch."""
        t = runner.epoch
        due = t % self.interval == 0 or t == runner.max_epochs - 1
        if self.by_epoch and due:
            self.act(runner, t, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Act after every n-th and the last iteration."""
        done = runner.iter + 1
        due = done % self.interval == 0 or done == runner.max_iters
        if not self.by_epoch and due:
            self.act(runner, done // self.interval - 1, done)
