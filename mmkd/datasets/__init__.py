"""Data sets, samplers and transforms that the task repositories lack."""

from mmkd.datasets.sample_indices import (
    IndexedConcatDataset as IndexedConcatDataset,
)
from mmkd.datasets.samplers import *  # noqa: F403
from mmkd.datasets.transforms import *  # noqa: F403
