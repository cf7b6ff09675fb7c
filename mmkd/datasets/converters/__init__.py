"""Converters of downloaded data sets to the layouts that mmkd reads."""

from mmkd.datasets.converters.camvid import (
    convert_camvid,
    convert_original,
    convert_segnet,
    split_of_frame,
)

__all__ = [
    'convert_camvid',
    'convert_original',
    'convert_segnet',
    'split_of_frame',
]
