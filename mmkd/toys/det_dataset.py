"""Synthetic scenes as an mmdetection data set."""

from __future__ import annotations

from typing import Any

from mmdet.datasets import BaseDetDataset

from mmkd.registry import DATASETS
from mmkd.toys.scene_dataset import SceneDataset
from mmkd.toys.scenes import cached_scene
from mmkd.toys.shapes import OBJECTS


@DATASETS.register_module()
class SyntheticDetDataset(SceneDataset, BaseDetDataset):
    """Scenes with a box and a class for every sufficiently visible object.

    Arguments: those of `SceneDataset`.
    """

    METAINFO = dict(classes=OBJECTS)

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
