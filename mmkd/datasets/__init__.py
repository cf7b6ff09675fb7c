"""Data sets, samplers and transforms that the task repositories lack."""

from mmkd.datasets.transforms import *  # noqa: F403
