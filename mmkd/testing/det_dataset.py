"""Synthetic scenes as an mmdetection data set."""

from __future__ import annotations

from typing import Any

from mmdet.datasets import BaseDetDataset

from mmkd.registry import DATASETS
from mmkd.testing.loading import scene_requests
from mmkd.testing.scenes import cached_scene
from mmkd.testing.shapes import OBJECTS


@DATASETS.register_module()
class SyntheticDetDataset(BaseDetDataset):
    """Scenes with a box and a class for every sufficiently visible object.

    Args:
        num_samples: number of scenes.
        size: (height, width) in pixels.
        num_objects: objects in each scene.
        seed: number of the collection of scenes.
        split: 'train', 'val' or 'test'.
        clutter: strokes and patches on the ground, 0 to 1.
        kwargs: further arguments of mmdetection's ``BaseDetDataset``.
    """

    METAINFO = dict(classes=OBJECTS)

    def __init__(
        self,
        num_samples: int = 500,
        size: tuple[int, int] = (96, 128),
        num_objects: int = 5,
        seed: int = 0,
        split: str = 'train',
        clutter: float = 1.0,
        **kwargs: Any,
    ) -> None:
        self.requests = scene_requests(
            num_samples, size, num_objects, seed, split, clutter=clutter
        )
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        data_list = []
        for request in self.requests:
            scene = cached_scene(**request)
            height, width = scene.seg_map.shape
            instances = [
                dict(bbox=box, bbox_label=label, ignore_flag=0)
                for box, label in zip(
                    scene.boxes.tolist(),
                    scene.box_labels.tolist(),
                    strict=True,
                )
            ]
            data_list.append(
                dict(
                    scene=request,
                    img_id=request['index'],
                    height=height,
                    width=width,
                    instances=instances,
                )
            )
        return data_list
