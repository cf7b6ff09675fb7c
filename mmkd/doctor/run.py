"""The doctor in a run: which images it looks at."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dataset import COLLATE_FUNCTIONS
from torch import nn

from mmkd.doctor.examine import Report, examine
from mmkd.models.distillers.offline import OfflineDistiller
from mmkd.tasks import repository_of

#: repository of the student -> images to look at
IMAGES = dict(mmpretrain=48, mmseg=24, mmpose=48, mmdet=8)
_BATCH = 16
_SECONDS = 5.0  # for loading images


def examine_run(
    distiller: OfflineDistiller,
    dataset: Any,
    loader: Mapping[str, Any],
    images: int | None = None,
) -> Report:
    """Examine a distiller on samples of its data set.

    Neither the data loader nor the random state is touched.

    Args:
        distiller: with the weights that it starts with.
        dataset: of the training.
        loader: config of the data loader: batch size, collation, order.
        images: how many to look at; default: `IMAGES`.
    """
    wanted = images or IMAGES.get(repository_of(distiller.student) or '', 16)
    with _same_draws():
        group = _group_size(distiller)
        batches = list(_batches(dataset, loader, wanted, group))
    return examine(distiller, batches)


def _group_size(distiller: nn.Module) -> int:
    """Return what batches are a multiple of: norms in groups ask for it."""
    sizes = (getattr(part, 'group_size', 1) for part in distiller.modules())
    return max(size for size in sizes if isinstance(size, int))


def _batches(
    dataset: Any, loader: Mapping[str, Any], wanted: int, group: int
) -> Iterator[Any]:
    """Yield batches in the order of the sampler, shuffled or not.

    Args:
        dataset: of the training.
        loader: see `examine_run`.
        wanted: number of images.
        group: of which every batch is a multiple.
    """
    shuffled = (loader.get('sampler') or {}).get('shuffle', True)
    count = len(dataset)
    order: Sequence[int] = range(count)
    if shuffled:
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(count, generator=generator).tolist()
    size = max(2, min(loader.get('batch_size', _BATCH), _BATCH, wanted))
    size = -(-size // group) * group
    collate = dict(loader.get('collate_fn') or dict(type='pseudo_collate'))
    function = COLLATE_FUNCTIONS.get(collate.pop('type'))
    ends = time.monotonic() + _SECONDS
    for first in range(0, min(wanted, count), size):
        chosen = order[first : first + size]
        whole = len(chosen) % group == 0
        if (len(chosen) > 1 and whole) or first == 0:
            yield function([dataset[index] for index in chosen], **collate)
        if time.monotonic() > ends:
            return


@contextmanager
def _same_draws() -> Iterator[None]:
    """Draw augmentations that repeat, and restore the random state."""
    states = random.getstate(), np.random.get_state()
    random.seed(0)
    np.random.seed(0)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
