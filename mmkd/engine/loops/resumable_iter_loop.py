"""An iteration loop that resumes at once and exactly."""

from __future__ import annotations

import itertools

from mmengine.dataset import InfiniteSampler
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import nn

from mmkd.registry import LOOPS


@LOOPS.register_module()
class ResumableIterBasedTrainLoop(IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop`` that skips seen samples by index.

    The stock loop loads and augments every batch that was already trained
    on, which takes as long as the data did and draws random numbers. Here
    the sampler alone moves on. Samplers other than mmengine's
    ``InfiniteSampler`` use the stock way.
    """

    def run(self) -> nn.Module:
        """Train, after moving the sampler behind what was trained on."""
        done = self._iter
        batch_size = self.dataloader.batch_size
        sampler = self.dataloader.sampler
        if done and batch_size and isinstance(sampler, InfiniteSampler):
            indices = sampler._indices_of_rank()
            sampler.indices = itertools.islice(
                indices, done * batch_size, None
            )
            self.dataloader_iterator = _InfiniteDataloaderIterator(
                self.dataloader
            )
            print_log(
                f'resumed after {done} iterations: '
                f'{done * batch_size} samples skipped',
                logger='current',
            )
            self._skip_stock_advance()
        return super().run()

    def _skip_stock_advance(self) -> None:
        """Answer the stock loop's reads of the batches that are skipped."""
        iterator = self.dataloader_iterator
        self.dataloader_iterator = _Skipped(iterator, self._iter)


class _Skipped:
    """An iterator whose first ``count`` items cost nothing."""

    def __init__(
        self, iterator: _InfiniteDataloaderIterator, count: int
    ) -> None:
        self._iterator = iterator
        self._left = count

    def __iter__(self) -> _Skipped:
        return self

    def __next__(self) -> object:
        if self._left:
            self._left -= 1
            return None
        return next(self._iterator)
