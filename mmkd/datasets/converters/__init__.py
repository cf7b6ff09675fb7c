"""Converters of downloaded data sets to the layouts that mmkd reads."""

from mmkd.datasets.converters.camvid import (
    convert_camvid,
    convert_original,
    convert_segnet,
    split_of_frame,
)
from mmkd.datasets.converters.cifar100 import convert_cifar100

__all__ = [
    'convert_camvid',
    'convert_cifar100',
    'convert_original',
    'convert_segnet',
    'split_of_frame',
]
