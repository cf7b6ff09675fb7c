"""Synthetic scenes as an mmpretrain data set."""

from __future__ import annotations

from typing import Any

from mmpretrain.datasets import BaseDataset

from mmkd.registry import DATASETS
from mmkd.testing.loading import scene_requests
from mmkd.testing.scenes import cached_scene
from mmkd.testing.shapes import OBJECTS


@DATASETS.register_module()
class SyntheticClsDataset(BaseDataset):
    """Scenes with the class of their largest object as label.

    Args:
        num_samples: number of scenes.
        size: (height, width) in pixels.
        num_objects: objects in each scene.
        seed: number of the collection of scenes.
        split: 'train', 'val' or 'test'.
        clutter: strokes and patches on the ground, 0 to 1.
        kwargs: further arguments of mmpretrain's ``BaseDataset``.
    """

    METAINFO = dict(classes=OBJECTS)

    def __init__(
        self,
        num_samples: int = 500,
        size: tuple[int, int] = (64, 64),
        num_objects: int = 3,
        seed: int = 0,
        split: str = 'train',
        clutter: float = 1.0,
        **kwargs: Any,
    ) -> None:
        self.requests = scene_requests(
            num_samples, size, num_objects, seed, split, clutter=clutter
        )
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            dict(scene=request, gt_label=cached_scene(**request).label)
            for request in self.requests
        ]
