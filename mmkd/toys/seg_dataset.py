"""Synthetic scenes as an mmsegmentation data set."""

from __future__ import annotations

from typing import Any

from mmseg.datasets import BaseSegDataset

from mmkd.registry import DATASETS
from mmkd.toys.scene_dataset import SceneDataset
from mmkd.toys.scenes import SEG_CLASSES

PALETTE = [
    [60, 60, 60], [230, 25, 75], [60, 180, 75], [255, 225, 25],
    [0, 130, 200], [245, 130, 48], [145, 30, 180], [70, 240, 240],
]  # fmt: skip


@DATASETS.register_module()
class SyntheticSegDataset(SceneDataset, BaseSegDataset):
    """Scenes with a class for every pixel: ground or a kind of object.

    Arguments: those of `SceneDataset`.
    """

    METAINFO = dict(classes=SEG_CLASSES, palette=PALETTE)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            dict(
                scene=request,
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[],
            )
            for request in self.requests
        ]
