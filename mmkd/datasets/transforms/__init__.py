"""Transforms that the task repositories lack."""

from mmkd.datasets.transforms.cached_transforms import CachedTransforms
from mmkd.datasets.transforms.drop_keys import DropKeys
from mmkd.datasets.transforms.jigsaw_shuffle import JigsawShuffle
from mmkd.datasets.transforms.random_discrete_scale import RandomDiscreteScale

__all__ = [
    'CachedTransforms',
    'DropKeys',
    'JigsawShuffle',
    'RandomDiscreteScale',
]
