"""Synthetic scenes as an mmpretrain data set."""

from __future__ import annotations

from typing import Any

from mmpretrain.datasets import BaseDataset

from mmkd.registry import DATASETS
from mmkd.toys.scene_dataset import SceneDataset
from mmkd.toys.scenes import cached_scene
from mmkd.toys.shapes import OBJECTS


@DATASETS.register_module()
class SyntheticClsDataset(SceneDataset, BaseDataset):
    """Scenes with the class of their largest object as label.

    Arguments: those of `SceneDataset`.
    """

    METAINFO = dict(classes=OBJECTS)
    default_size = (64, 64)
    default_objects = 3

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            dict(scene=request, gt_label=cached_scene(**request).label)
            for request in self.requests
        ]
