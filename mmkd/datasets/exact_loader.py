"""A data loader that gives the same batches whenever it starts."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader, IterableDataset

from mmkd.datasets.seeded_items import Draw, SeededItems
from mmkd.utils.seeding import STREAMS


class ExactDataLoader(DataLoader):
    """torch's ``DataLoader`` that can start in the middle of a pass.

    The random numbers of a sample follow from (seed, epoch, index) alone,
    and from how often the index was drawn before in that epoch: they do not
    depend on the worker that makes it, on the number of workers, or on what
    was loaded before. A loader becomes one by `make_exact`.

    With an endless sampler an epoch is a pass through the data set. Nothing
    is loaded, and no worker starts, before the first batch is asked for.
    """

    seed = 0
    stream = STREAMS['sample']
    epoch = 0
    _skipped = 0
    _is_open = False

    def __iter__(self) -> Any:
        """Give the batches of the present epoch."""
        return self.batches()

    def batches(self, skipped: int = 0) -> Iterator[Any]:
        """Give the batches of the present epoch from one of them on.

        Args:
            skipped: number of batches that are left out: drawn, not loaded.
        """
        self._skipped = skipped
        # A second pass beside an open one must not take over its workers.
        found = self._get_iterator() if self._is_open else super().__iter__()
        self._skipped = 0
        outermost, self._is_open = not self._is_open, True
        try:
            yield from found
        finally:
            if outermost:
                self._is_open = False

    @property
    def _index_sampler(self) -> Any:
        return _Draws(self, super()._index_sampler)

    @property
    def is_endless(self) -> bool:
        """Whether one pass goes on for ever."""
        return isinstance(self.inner_sampler, InfiniteSampler)

    @property
    def inner_sampler(self) -> Any:
        """The sampler of single indices."""
        return getattr(self.batch_sampler, 'sampler', self.sampler)


class _Draws:
    """Batches of `Draw`, in place of the batches of indices."""

    def __init__(self, loader: ExactDataLoader, batches: Any) -> None:
        self._loader = loader
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Draw]]:
        loader = self._loader
        return self._draw(loader.epoch, loader._skipped)

    def _draw(self, epoch: int, skipped: int) -> Iterator[list[Draw]]:
        loader = self._loader
        sampler = loader.inner_sampler
        size, first, step = len(loader.dataset), 0, 1  # type: ignore[arg-type]
        if loader.is_endless:
            # Its own generator goes on from where other passes left it.
            sampler.indices = sampler._indices_of_rank()
            first, step = sampler.rank, sampler.world_size
        counted = _Counted(size)
        drawn = 0
        for number, batch in enumerate(self._batches):
            draws = []
            for index in batch:
                # of an endless sampler: the pass through all samples
                turn = (drawn * step + first) // size * loader.is_endless
                key = (epoch + turn, *counted(epoch + turn, index))
                draws.append(Draw(index, (loader.seed, loader.stream, *key)))
                drawn += 1
            if number >= skipped:
                yield draws


class _Counted:
    """Counts how often each index was drawn in an epoch."""

    def __init__(self, size: int) -> None:
        self._counts = np.zeros(size, np.uint32)
        self._epoch: int | None = None

    def __call__(self, epoch: int, index: Any) -> tuple[int, int]:
        """Return a number for the index, and how often it was drawn."""
        if epoch != self._epoch:
            self._counts[:] = 0
            self._epoch = epoch
        try:
            number = range(len(self._counts))[index]
        except (TypeError, IndexError):  # of a sampler of more than indices
            return zlib.crc32(repr(index).encode()), 0
        times = int(self._counts[number])
        self._counts[number] += 1
        return number, times


def make_exact(loader: Any, seed: int, stream: str = 'sample') -> Any:
    """Turn a loader into an `ExactDataLoader`, in place.

    Loaders of batches that no sampler forms (``IterableDataset``,
    ``batch_size=None``) stay as they are, and those of a plain list.

    Args:
        loader: torch's ``DataLoader``, of a derived class too.
        seed: of the run.
        stream: ``'sample'``, or ``'val_sample'`` for validation.
    """
    if (
        not isinstance(loader, DataLoader)
        or loader.batch_sampler is None
        or isinstance(loader.dataset, IterableDataset | list | tuple)
    ):
        return loader
    if not isinstance(loader, ExactDataLoader):
        kind = type(loader)
        loader.__class__ = (
            ExactDataLoader
            if kind is DataLoader
            else type(kind.__name__, (ExactDataLoader, kind), {})
        )
        dataset: Any = loader.dataset
        dataset.__getitems__ = SeededItems(dataset)
    loader.seed, loader.stream = seed, STREAMS[stream]
    return loader
