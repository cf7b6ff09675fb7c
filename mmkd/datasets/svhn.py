"""Street View House Numbers, by torchvision, handed out in whole batches."""

from __future__ import annotations

from typing import Any
from urllib.error import URLError

import numpy as np
from torchvision import datasets as torchvision_datasets

from mmkd.datasets.cifar import CIFAR10
from mmkd.registry import DATASETS


@DATASETS.register_module()
class SVHN(CIFAR10):
    """Cropped digits of 3x32x32: 73257 training and 26032 test images.

    torchvision reads, and if wanted fetches, ``{train,test}_32x32.mat``;
    label k is digit k. All else is as in `CIFAR100`.

    Args:
        data_root: folder of the files.
        split: 'train' or 'test'.
        check_hash: has no effect: torchvision always compares the files.
        **kwargs: see `CIFAR100`; ``download=True`` is the default.

    Raises:
        FileNotFoundError: a file is missing or damaged and ``download`` is
            off, or the download fails.
    """

    METAINFO = dict(classes=tuple('0123456789'))

    def _read(self) -> tuple[np.ndarray, list[int]]:
        root: Any = self.data_prefix['root']
        try:
            found = torchvision_datasets.SVHN(
                root, self.split, download=self.download
            )
        except (RuntimeError, URLError, ConnectionError, TimeoutError) as e:
            raise FileNotFoundError(
                f'SVHN: {root!r} has no (or not the official) '
                f'{self.split}_32x32.mat: {e}; set data_root to the folder '
                'that has it (in our configs svhn in what the variable '
                'MMKD_DATA names), or download=True'
            ) from e
        return np.ascontiguousarray(found.data), found.labels.tolist()
