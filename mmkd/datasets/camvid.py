"""CamVid, the 11-class road scenes of the SegNet release."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmengine import fileio
from mmseg.datasets import BaseSegDataset

from mmkd.registry import DATASETS

VOID = 11
IMAGE_SUFFIXES = ('.png', '.jpg')


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid with the split and the class grouping of SegNet.

    367 training, 101 validation and 233 test images of 360x480 pixels.
    Labels are 8-bit maps with 0..10 for the classes and 11 for void; void
    is loaded as 255. The folders are made by
    ``tools/dataset_converters/camvid.py``::

        data_root
        |-- images/{train,val,test}/NAME.png (or .jpg)
        `-- annotations/{train,val,test}/NAME.png

    Args:
        img_suffix: suffix of the images; None finds it in the folder.
        **kwargs: arguments of ``mmseg.BaseSegDataset``.

    Raises:
        FileNotFoundError: a folder, its images, or a label is missing.
        ValueError: the folder mixes suffixes and ``img_suffix`` is None.
    """

    img_suffix: str | None

    METAINFO = dict(
        classes=(
            'sky',
            'building',
            'pole',
            'road',
            'pavement',
            'tree',
            'sign_symbol',
            'fence',
            'car',
            'pedestrian',
            'bicyclist',
        ),
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [60, 40, 222],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )

    def __init__(self, img_suffix: str | None = None, **kwargs: Any) -> None:
        super().__init__(img_suffix=img_suffix, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence | None = None) -> dict:
        """Map void, and classes that were not selected, to 255."""
        label_map = super().get_label_map(new_classes) or {}
        return {**label_map, VOID: 255}

    def load_data_list(self) -> list[dict]:
        """List the image and label files, checking that they exist."""
        for key in ('img_path', 'seg_map_path'):
            folder = self.data_prefix.get(key) or ''
            if not fileio.isdir(folder, backend_args=self.backend_args):
                raise FileNotFoundError(self._missing(f'no folder {folder!r}'))
        if self.img_suffix is None:
            self.img_suffix = self._find_img_suffix()
        data_list = super().load_data_list()
        labels = self._file_names(self.data_prefix['seg_map_path'])
        prefix = self.data_prefix['seg_map_path']
        unlabelled = [
            data['img_path']
            for data in data_list
            if osp.relpath(data['seg_map_path'], prefix) not in labels
        ]
        if unlabelled:
            raise FileNotFoundError(
                self._missing(
                    f'{len(unlabelled)} of {len(data_list)} images have no '
                    f'label {self.seg_map_suffix} of the same name in '
                    f'{prefix!r}, the first is {unlabelled[0]!r}'
                )
            )
        if not self.ann_file:
            self._refuse_lone_labels(data_list, labels)
        return data_list

    def _refuse_lone_labels(
        self, data_list: Sequence[dict], labels: set[str]
    ) -> None:
        """Refuse labels without an image; a list of names may leave some."""
        prefix = self.data_prefix['seg_map_path']
        used = {osp.relpath(d['seg_map_path'], prefix) for d in data_list}
        images = self._file_names(self.data_prefix['img_path'])
        lone = sorted(
            name
            for name in labels - used
            if name.endswith(self.seg_map_suffix)
            and not any(
                name.removesuffix(self.seg_map_suffix) + suffix in images
                for suffix in IMAGE_SUFFIXES  # not chosen by img_suffix
            )
        )
        if lone:
            raise FileNotFoundError(
                self._missing(
                    f'{len(lone)} labels in {prefix!r} have no image '
                    f'{self.img_suffix} of the same name in '
                    f'{self.data_prefix["img_path"]!r}, the first is '
                    f'{lone[0]!r}'
                )
            )

    def _find_img_suffix(self) -> str:
        folder = self.data_prefix['img_path']
        names = self._file_names(folder)
        found = [
            s for s in IMAGE_SUFFIXES if any(n.endswith(s) for n in names)
        ]
        if not found:
            raise FileNotFoundError(
                self._missing(f'no .png or .jpg image in {folder!r}')
            )
        if len(found) > 1:
            raise ValueError(
                f'CamVidDataset: {folder!r} holds both .png and .jpg images; '
                "set img_suffix='.png' or img_suffix='.jpg'"
            )
        return found[0]

    def _file_names(self, folder: str) -> set[str]:
        return set(
            fileio.list_dir_or_file(
                folder,
                list_dir=False,
                recursive=True,
                backend_args=self.backend_args,
            )
        )

    def _missing(self, what: str) -> str:
        return (
            f'CamVidDataset: {what} (data_root={self.data_root!r}, '
            f'data_prefix={dict(self.data_prefix)!r}). Expected are '
            'images/{train,val,test}/NAME.png or .jpg and '
            'annotations/{train,val,test}/NAME.png below data_root; set '
            'data_root (in our configs: the variable MMKD_DATA names its '
            'parent), or make the folders with '
            'tools/dataset_converters/camvid.py'
        )
