"""STL-10, the labelled part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.datasets import BaseDataset

from mmkd.registry import DATASETS

_SHAPE = (3, 96, 96)
_SOURCE = 'http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz'


@DATASETS.register_module()
class STL10(BaseDataset):
    """Images (96, 96, 3) of ten classes, RGB.

    Reads ``{train,test}_{X,y}.bin`` of the official archive: 5000 training
    and 8000 test images.

    Args:
        data_root: the unpacked folder, ``stl10_binary``.
        split: 'train' or 'test'.
        kwargs: further arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: unknown split, or damaged files.
    """

    METAINFO = dict(
        classes=(
            'airplane', 'bird', 'car', 'cat', 'deer', 'dog', 'horse',
            'monkey', 'ship', 'truck',
        )
    )  # fmt: skip

    def __init__(
        self, data_root: str, split: str = 'train', **kwargs: Any
    ) -> None:
        if split not in ('train', 'test'):
            raise ValueError(
                f'STL10: split={split!r} is unknown; use "train" or "test"'
            )
        self.split = split
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the labels; the images stay on disk until they are used."""
        files = [Path(self.data_root) / f'{self.split}_{x}.bin' for x in 'Xy']
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(
                    f'STL10: "{file}" does not exist; get {_SOURCE}, unpack '
                    'it, and set data_root to the folder stl10_binary (in '
                    'our configs: the variable MMKD_DATA names its parent, '
                    'else it is data/stl10_binary)'
                )
            if not file.stat().st_size:
                raise ValueError(
                    f'STL10: "{file}" is empty; unpack {_SOURCE} again'
                )
        labels = np.fromfile(files[1], np.uint8).astype(int) - 1  # from 1
        pixels = np.memmap(files[0], np.uint8, mode='r')
        if pixels.size != len(labels) * np.prod(_SHAPE):
            raise ValueError(
                f'STL10: "{files[0]}" and "{files[1]}" do not belong '
                f'together ({pixels.size} bytes, {len(labels)} labels); '
                f'unpack {_SOURCE} again'
            )
        if not set(labels) <= set(range(10)):
            raise ValueError(
                f'STL10: "{files[1]}" holds labels from {labels.min() + 1} '
                f'to {labels.max() + 1}, expected 1 to 10; unpack {_SOURCE} '
                'again'
            )
        self.images = pixels.reshape(-1, *_SHAPE)
        return [
            dict(row=row, gt_label=int(label))
            for row, label in enumerate(labels)
        ]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the image, the label and the index of a sample."""
        info = super().get_data_info(idx)
        columns = self.images[info.pop('row')]  # (C, W, H)
        info['img'] = np.ascontiguousarray(columns.transpose(2, 1, 0))
        return info
