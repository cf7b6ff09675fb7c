"""Samples whose random numbers follow from what was drawn, not from when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from mmkd.utils.seeding import kept_generators, seed_generators


class Draw(NamedTuple):
    """An index that a sampler drew, with the entropy of its sample."""

    drawn: Any
    entropy: tuple[int, ...]


class SeededItems:
    """Reads samples, each with generators seeded for it alone.

    It stands as ``__getitems__`` in a data set, which torch's loaders ask
    for whole batches, in the main process and in workers alike. A data set
    that has this method itself reads whole batches, each seeded as its
    first sample is.

    Args:
        dataset: gives a sample for an index.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.reads_batches = hasattr(type(dataset), '__getitems__') and (
            getattr(dataset, 'batched', True)  # of CIFAR100 and its kin
        )

    def __call__(self, draws: Sequence[Any]) -> Any:
        """Return the samples of a batch.

        Args:
            draws: `Draw`; plain indices are read unseeded.
        """
        if get_worker_info() is not None:
            return self._read(draws)
        with kept_generators():  # those of the main process are the model's
            return self._read(draws)

    def _read(self, draws: Sequence[Any]) -> Any:
        if self.reads_batches:
            own = type(self.dataset).__getitems__
            rest = [getattr(draw, 'drawn', draw) for draw in draws[1:]]
            return own(self.dataset, [_seed(draws[0]), *rest])
        return [self.dataset[_seed(draw)] for draw in draws]


def _seed(draw: Any) -> Any:
    """Seed for a draw; return its index."""
    if not isinstance(draw, Draw):
        return draw
    seed_generators(*draw.entropy, devices=False)
    return draw.drawn
