"""An iteration loop that resumes at once and exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmkd.engine.loops.position import (
    ExactLoop,
    batches_from,
    set_epoch,
    validate_if_due,
)
from mmkd.registry import LOOPS


@LOOPS.register_module()
class ResumableIterBasedTrainLoop(ExactLoop, IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop`` that skips seen samples by index.

    The stock loop loads and augments every batch that was already trained
    on, which takes as long as the data did and draws random numbers. Here
    the sampler alone moves on. A checkpoint is written before the validation
    of its iteration, so a resumed run begins with that validation. Random
    numbers of a sample: see `ExactDataLoader`; for those of steps add
    `StepSeedHook`.

    The tools of mmkd use it wherever a config asks for the stock loop.
    """

    def run(self) -> nn.Module:
        """Train, from the start or from where the resumed run was."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.dataloader_iterator = self._batches(0, 0)
        if self._iter:
            self._go_on(self.state.resumed(self.runner))
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _go_on(self, state: dict[str, Any]) -> None:
        if 'batches' in state:
            epoch, batches = state['epoch'], state['batches']
        elif getattr(self.dataloader, 'is_endless', False):
            epoch, batches = 0, self._iter
        else:  # a checkpoint of the stock loop
            epoch, batches = divmod(self._iter, len(self.dataloader))
        self.dataloader_iterator = self._batches(epoch, batches)
        print_log(
            f'resumed after {self._iter} iterations: the samples of '
            f'{batches} batches skipped',
            logger='current',
        )
        if not state.get('validated', True):
            self._validate()

    def _batches(self, epoch: int, skipped: int) -> Iterator[Any]:
        """Give batches without end, pass after pass."""
        while True:
            if epoch:
                set_epoch(self, epoch)
            number = skipped
            for batch in batches_from(self.dataloader, epoch, skipped):
                number += 1
                self.state.at(epoch, number)
                yield batch
            if number == 0:
                raise ValueError(
                    'train_dataloader gives no batch: its data set is empty '
                    'or smaller than batch_size with drop_last=True; lower '
                    'train_dataloader.batch_size'
                )
            epoch, skipped = epoch + 1, 0

    def _validate(self) -> None:
        validate_if_due(self, self._iter, self._max_iters)
