"""What ``sample_idx`` counts: the samples of a data set, wrapped or not."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from mmengine.dataset import ConcatDataset
from mmengine.runner.runner import _SlicedDataset

from mmkd.registry import DATASETS


@DATASETS.register_module()
class IndexedConcatDataset(ConcatDataset):
    """mmengine's ``ConcatDataset`` with one ``sample_idx`` per sample.

    In a plain one every part counts its samples from 0, so that banks per
    sample would write half their rows. Here those of a part follow those of
    the parts before it. Parts may be wrapped in ``RepeatDataset`` and
    ``ClassBalancedDataset``: a repeated sample keeps its index.

    Args:
        datasets, lazy_init, ignore_keys: see mmengine's.

    Raises:
        ValueError: a part concatenates without counting on.
    """

    @property
    def num_indices(self) -> int:
        """Return how many different indices there are."""
        return sum(count_indices(part) for part in self.datasets)

    def full_init(self) -> None:
        """Load all parts; see mmengine's."""
        super().full_init()
        counts = [count_indices(part) for part in self.datasets]
        self._starts = [0, *np.cumsum(counts).tolist()]

    def __getitem__(self, idx: int) -> Any:
        """Return a sample; ``sample_idx`` of its data sample is global."""
        found = super().__getitem__(idx)
        sample = found.get('data_samples')
        own = None if sample is None else sample.metainfo.get('sample_idx')
        if own is not None:
            part, _ = self._get_ori_dataset_idx(idx)
            sample = copy.copy(sample)  # a part may keep its samples
            sample.set_metainfo(dict(sample_idx=own + self._starts[part]))
            found = dict(found, data_samples=sample)
        return found


def count_indices(dataset: Any) -> int:
    """Return n if ``sample_idx`` counts the samples of a data set 0..n-1.

    Wrappers that repeat or choose samples leave their indices as they are.

    Raises:
        ValueError: different samples have the same index.
    """
    inner = _unwrapped(dataset)
    return getattr(inner, 'num_indices', None) or len(inner)


def labels_by_index(dataset: Any, who: str) -> np.ndarray:
    """Return the class of every sample, in the order of ``sample_idx``.

    Args:
        dataset: of classification, wrapped or not.
        who: needs them, for messages.

    Raises:
        TypeError: it cannot tell its labels.
        ValueError: different samples have the same index.
    """
    inner = _unwrapped(dataset)
    if isinstance(inner, IndexedConcatDataset):
        parts = [labels_by_index(part, who) for part in inner.datasets]
        return np.concatenate(parts)
    if not hasattr(inner, 'get_gt_labels'):
        raise TypeError(
            f'{who}: train_dataloader.dataset is a {type(inner).__name__}, '
            'which has no get_gt_labels(); use a classification data set of '
            'mmpretrain or mmkd'
        )
    return np.asarray(inner.get_gt_labels())


def _unwrapped(dataset: Any) -> Any:
    """Return the data set whose samples are counted.

    Raises:
        ValueError: it is a plain concatenation.
    """
    while not isinstance(dataset, IndexedConcatDataset):
        if isinstance(dataset, _SlicedDataset):
            dataset = dataset._dataset
            continue
        if hasattr(dataset, 'datasets'):
            raise ValueError(
                f'train_dataloader.dataset: {type(dataset).__name__} counts '
                'sample_idx anew in each of its '
                f'{len(dataset.datasets)} data sets, so different samples '
                'would share a row of a bank; write type='
                "'mmkd.IndexedConcatDataset' instead"
            )
        if not hasattr(dataset, 'dataset'):
            break
        dataset = dataset.dataset
    return dataset
