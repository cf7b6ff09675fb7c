"""Synthetic scenes as an mmsegmentation data set."""

from __future__ import annotations

from typing import Any

from mmseg.datasets import BaseSegDataset

from mmkd.registry import DATASETS
from mmkd.testing.loading import scene_requests
from mmkd.testing.scenes import SEG_CLASSES

PALETTE = [
    [60, 60, 60], [230, 25, 75], [60, 180, 75], [255, 225, 25],
    [0, 130, 200], [245, 130, 48], [145, 30, 180], [70, 240, 240],
]  # fmt: skip


@DATASETS.register_module()
class SyntheticSegDataset(BaseSegDataset):
    """Scenes with a class for every pixel: ground or a kind of object.

    Args:
        num_samples: number of scenes.
        size: (height, width) in pixels.
        num_objects: objects in each scene.
        seed: number of the collection of scenes.
        split: 'train', 'val' or 'test'.
        clutter: strokes and patches on the ground, 0 to 1.
        kwargs: further arguments of mmsegmentation's ``BaseSegDataset``.
    """

    METAINFO = dict(classes=SEG_CLASSES, palette=PALETTE)

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
        return [
            dict(
                scene=request,
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[],
            )
            for request in self.requests
        ]
