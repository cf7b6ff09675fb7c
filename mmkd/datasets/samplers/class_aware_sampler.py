"""Batches with the same number of images of every class in them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmkd.datasets.samplers.labels import dataset_labels
from mmkd.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ClassAwareSampler(Sampler):
    """Draw B/m classes for each batch, and m images of each of them.

    Every image then has exactly m - 1 partners of its class in the batch,
    which contrastive losses of mutual learning (MCL) ask for. Classes are
    drawn without replacement, and so are the images of a class unless it
    has fewer than m. Batches are independent draws: an epoch sees only a
    part of the images. Every process draws batches of its own.

    Args:
        dataset: see `dataset_labels` for what it must offer.
        batch_size: that of the data loader, per process.
        samples_per_class: m.
        seed: None draws one that all processes share.

    Raises:
        TypeError, ValueError: the data set has no class labels, m does not
            divide the batch size, or there are too few classes for it.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        samples_per_class: int = 2,
        seed: int | None = None,
    ) -> None:
        labels = dataset_labels(
            dataset, 'ClassAwareSampler (train_dataloader.sampler)'
        )
        order = np.argsort(labels, kind='stable')
        _, first = np.unique(labels[order], return_index=True)
        members = np.split(order, first[1:])
        self.members = [group.tolist() for group in members]
        self.batch_size = batch_size
        self.samples_per_class = samples_per_class
        self._check()
        self.rank, world_size = get_dist_info()
        self.num_batches = len(labels) // (world_size * batch_size)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        """Yield indices, batch after batch."""
        rng = random.Random(f'{self.seed} {self.epoch} {self.rank}')
        count = self.samples_per_class
        for _ in range(self.num_batches):
            for group in rng.sample(self.members, self.batch_size // count):
                if len(group) < count:
                    yield from rng.choices(group, k=count)
                else:
                    yield from rng.sample(group, count)

    def __len__(self) -> int:
        """Return the number of indices of an epoch in this process."""
        return self.num_batches * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Make the draws follow from ``epoch``."""
        self.epoch = epoch

    def _check(self) -> None:
        size, count = self.batch_size, self.samples_per_class
        if count < 1 or size < 1 or size % count:
            raise ValueError(
                f'ClassAwareSampler: batch_size={size} is not a multiple of '
                f'samples_per_class={count}; change one of them in '
                'train_dataloader.sampler'
            )
        if count * len(self.members) < size:
            raise ValueError(
                f'ClassAwareSampler: batch_size={size} needs '
                f'{size // count} classes with samples_per_class={count}, '
                f'but the data set has {len(self.members)}; lower batch_size '
                'or raise samples_per_class in train_dataloader.sampler'
            )
