"""Person crops for pretraining without key-point labels."""

from __future__ import annotations

from json import JSONDecodeError
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.datasets.datasets.body import CocoDataset
from PIL import Image, UnidentifiedImageError

from mmkd.datasets.bad_samples import (
    BadSamplePolicy,
    applied_policy,
    skip_or_stop,
)

# Importing makes mmpose's GenerateTarget know the codec of puzzles.
from mmkd.models.pretrainers import jigsaw_heatmap  # noqa: F401
from mmkd.registry import DATASETS

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


@DATASETS.register_module()
class CocoPersonCropDataset(CocoDataset):
    """The people of a COCO annotation file, with or without key points.

    Crowds and empty boxes are left out. If the file has a category
    'person' among others, only that one is used.

    Args:
        require_keypoints: True takes the people that fine-tuning takes,
            those with a labelled key point; False takes every box. The key
            points of boxes without any are zeros.
        min_box_side: boxes with a shorter side, in pixels inside the
            photo, are left out.
        **kwargs: arguments of mmpose's ``CocoDataset``. Files with other
            than COCO's 17 key points need ``metainfo``.

    Raises:
        FileNotFoundError: no such annotation file.
        ValueError: nothing is left, or the file's key points do not fit
            the ``metainfo``.
    """

    def __init__(
        self,
        require_keypoints: bool = True,
        min_box_side: float = 0,
        **kwargs: Any,
    ) -> None:
        self.require_keypoints = require_keypoints
        self.min_box_side = min_box_side
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the people.

        Raises:
            FileNotFoundError: no such annotation file.
            ValueError: no JSON, or nobody is left.
        """
        if not Path(self.ann_file).is_file():
            raise FileNotFoundError(
                f'{type(self).__name__}: ann_file={self.ann_file!r} does not '
                f'exist (data_root={self.data_root!r}); set data_root and '
                'ann_file'
            )
        try:
            data_list = super().load_data_list()
        except JSONDecodeError as error:
            raise ValueError(
                f'{type(self).__name__}: ann_file={self.ann_file!r} is no '
                f'JSON ({error}); get or make the file again'
            ) from error
        if not data_list:
            cure = (
                'set require_keypoints=False to use all boxes'
                if self.require_keypoints
                else 'set a smaller min_box_side, or another file'
            )
            raise ValueError(
                f'{type(self).__name__}: {self.ann_file!r} has no person '
                f'with require_keypoints={self.require_keypoints}, '
                f'min_box_side={self.min_box_side}: annotations without key '
                f'points or boxes do not count; {cure}'
            )
        return data_list

    def parse_data_info(
        self, raw_data_info: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Read one annotation, filling in key points if they may lack."""
        annotation = raw_data_info['raw_ann_info']
        if not self._is_person(annotation):
            return None
        joints = self.metainfo['num_keypoints']
        keypoints = annotation.get('keypoints')
        if not keypoints and not self.require_keypoints:
            filled = dict(keypoints=[0] * (3 * joints), num_keypoints=0)
            annotation = {**annotation, **filled}
            raw_data_info = {**raw_data_info, 'raw_ann_info': annotation}
        elif keypoints and len(keypoints) != 3 * joints:
            raise ValueError(
                f'{type(self).__name__}: annotation {annotation.get("id")} of '
                f'{self.ann_file!r} has {len(keypoints)} key-point numbers, '
                f'3 x {joints} are expected by metainfo '
                f'{self.metainfo["dataset_name"]!r}; set metainfo=dict('
                "from_file='configs/_base_/datasets/NAME.py') for these joints"
            )
        info = super().parse_data_info(raw_data_info)
        if info is not None:
            # Only evaluation by key points needs them; they are large.
            del info['raw_ann_info'], info['segmentation']
        return info

    def _is_person(self, annotation: dict[str, Any]) -> bool:
        names = {
            category['id']: category.get('name')
            for category in self._metainfo.get('CLASSES') or ()
        }
        if len(names) < 2 or 'person' not in names.values():
            return True
        return names.get(annotation.get('category_id')) == 'person'

    def _is_valid_instance(self, data_info: dict[str, Any]) -> bool:
        """Whether a person is kept; mmpose's rule plus ours."""
        x1, y1, x2, y2 = data_info['bbox'][0]
        if min(x2 - x1, y2 - y1) < self.min_box_side:
            return False
        if self.require_keypoints:
            return CocoDataset._is_valid_instance(data_info)
        return not data_info['iscrowd'] and bool(x2 > x1 and y2 > y1)


@DATASETS.register_module()
class PersonFolderDataset(CocoDataset):
    """All images of a folder, each one person; the box is the whole image.

    Images are found in sub-folders too, in the order of their names.

    Args:
        data_root: folder before ``data_prefix``.
        data_prefix: ``dict(img=folder)`` of the images.
        min_box_side: images with a shorter side, in pixels, are left out.
        **kwargs: further arguments of mmpose's ``CocoDataset``; no
            ``ann_file`` is read.

    Raises:
        FileNotFoundError: no folder, or no image in it.
        ValueError: an image cannot be read, or all are too small.
    """

    def __init__(
        self, data_root: str = '', min_box_side: float = 0, **kwargs: Any
    ) -> None:
        self.min_box_side = min_box_side
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images.

        Raises:
            FileNotFoundError, ValueError: see the class.
        """
        folder = Path(self.data_prefix['img'] or '.')
        paths = [
            path
            for path in sorted(folder.rglob('*'))
            if path.suffix.lower() in IMAGE_SUFFIXES
        ]
        if not paths:
            raise FileNotFoundError(
                f'PersonFolderDataset: no image ({", ".join(IMAGE_SUFFIXES)}) '
                f'in {str(folder)!r}; set data_root and data_prefix.img'
            )
        policy = BadSamplePolicy() if self.test_mode else applied_policy()
        infos, bad = [], 0
        for index, path in enumerate(paths):
            try:
                infos.append(self._info(index, path))
            except ValueError as error:
                bad += 1
                skip_or_stop(error, True, bad, policy)
        kept = [
            info
            for info in infos
            if info['bbox'][0, 2:].min() >= max(self.min_box_side, 1)
        ]
        if not kept:
            raise ValueError(
                f'PersonFolderDataset: all {len(infos)} images of '
                f'{str(folder)!r} have a side below min_box_side='
                f'{self.min_box_side}; set a smaller one'
            )
        return kept

    def _info(self, index: int, path: Path) -> dict[str, Any]:
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (
            UnidentifiedImageError,
            Image.DecompressionBombError,
            OSError,
        ) as error:
            raise ValueError(
                f'PersonFolderDataset: {str(path)!r} cannot be read as an '
                f'image ({error}); remove it from the folder'
            ) from error
        joints = self.metainfo['num_keypoints']
        return dict(
            id=index,
            img_id=index,
            img_path=str(path),
            bbox=np.array([[0, 0, width, height]], np.float32),
            bbox_score=np.ones(1, np.float32),
            num_keypoints=0,
            keypoints=np.zeros((1, joints, 2), np.float32),
            keypoints_visible=np.zeros((1, joints), np.float32),
            area=np.array(width * height, np.float32),
            iscrowd=0,
            category_id=np.array(1),
        )
