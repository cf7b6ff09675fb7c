"""The class labels of data sets and of wrapped data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine import dataset as wrappers
from torch.utils.data import ConcatDataset, Subset


def dataset_labels(dataset: Any, who: str = 'dataset_labels') -> np.ndarray:
    """Return the label of every sample, without loading images.

    Args:
        dataset: has ``get_gt_labels`` (as all of mmpretrain), or is one of
            the wrappers of mmengine or torch around such a data set.
        who: needs the labels, for messages; e.g. a class and its config key.

    Shape:
        returns: (len(dataset),) int64.

    Raises:
        TypeError: the data set cannot give its labels.
        ValueError: samples without exactly one label.
    """
    if isinstance(dataset, wrappers.RepeatDataset):
        labels = np.tile(dataset_labels(dataset.dataset, who), dataset.times)
    elif isinstance(dataset, wrappers.ClassBalancedDataset):
        labels = dataset_labels(dataset.dataset, who)[dataset.repeat_indices]
    elif isinstance(dataset, ConcatDataset):
        parts = [dataset_labels(part, who) for part in dataset.datasets]
        labels = np.concatenate(parts)
    elif isinstance(dataset, Subset):
        labels = dataset_labels(dataset.dataset, who)[list(dataset.indices)]
    elif hasattr(dataset, 'get_gt_labels'):
        labels = np.asarray(dataset.get_gt_labels())
    else:
        raise TypeError(
            f'{who} needs the labels of the data set, but '
            f'{type(dataset).__name__} has no get_gt_labels(); use a '
            'classification data set of mmpretrain, or add that method'
        )
    if labels.shape != (len(dataset),) or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'{who} needs one class per sample, but '
            f'{type(dataset).__name__} of {len(dataset)} samples has labels '
            f'of shape {labels.shape} and type {labels.dtype}; multi-label '
            'data sets are not supported'
        )
    return labels.astype(np.int64)
