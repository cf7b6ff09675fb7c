"""Cost of puzzles beside mmpose's stock top-down pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.registry import DATASETS

GRID = (4, 3)
SIZES: dict[str, dict[str, Any]] = {
    '256x192': dict(input_size=(192, 256), heatmap_size=(48, 64), sigma=2),
    '384x288': dict(input_size=(288, 384), heatmap_size=(72, 96), sigma=3),
}


def pipelines(size: str) -> dict[str, list[dict[str, Any]]]:
    """The pipelines that are compared.

    Args:
        size: '256x192' or '384x288'.

    Returns:
        'stock': mmpose's training pipeline of this size; 'joints': the
        transforms of 'mmkd' with joints instead of puzzles, so that their
        difference is the cost of shuffling and targets; 'mmkd': puzzles.
    """
    codec = SIZES[size]
    stock = dict(type='MSRAHeatmap', **codec)
    puzzle = dict(type='JigsawHeatmap', grid_size=GRID, **codec)
    load: list[dict[str, Any]] = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal'),
    ]
    scale: dict[str, Any] = dict(
        type='RandomBBoxTransform',
        shift_prob=0,
        rotate_prob=0,
        scale_factor=(0.75, 1.25),
    )
    affine = dict(type='TopdownAffine', input_size=codec['input_size'])
    joints: list[dict[str, Any]] = [dict(type='GenerateTarget', encoder=stock)]
    patches: list[dict[str, Any]] = [
        dict(type='mmkd.JigsawShuffle', grid_size=GRID),
        dict(type='GenerateTarget', encoder=puzzle),
    ]
    pack = dict(type='PackPoseInputs')
    pack_puzzle = dict(
        type='PackPoseInputs',
        meta_keys=(
            'id', 'img_id', 'img_path', 'input_size', 'input_center',
            'input_scale', 'jigsaw_permutation',
        ),
    )  # fmt: skip
    return dict(
        stock=[
            *load,
            dict(type='RandomHalfBody'),
            dict(type='RandomBBoxTransform'),
            affine,
            *joints,
            pack,
        ],
        joints=[*load, scale, affine, *joints, pack],
        mmkd=[*load, scale, affine, *patches, pack_puzzle],
    )


def data_paths(
    size: str, ann_file: str | Path, images: str | Path, **arguments: Any
) -> dict[str, Callable[[], Iterator[int]]]:
    """Endless iterators over samples of the three pipelines.

    Args:
        size: see `pipelines`.
        ann_file: people with key points in COCO's format.
        images: folder of the photos.
        arguments: of the data sets, e.g. ``metainfo``.
    """

    def start(name: str, steps: list[dict]) -> Callable[[], Iterator[int]]:
        kind = 'mmkd.CocoPersonCropDataset'
        dataset = DATASETS.build(
            dict(
                type=kind if name == 'mmkd' else 'CocoDataset',
                ann_file=str(ann_file),
                data_prefix=dict(img=str(images)),
                pipeline=steps,
                **arguments,
            )
        )

        def run() -> Iterator[int]:
            while True:
                for index in range(len(dataset)):
                    dataset[index]
                    yield 1

        return run

    return {
        name: start(name, steps) for name, steps in pipelines(size).items()
    }


def write_people(folder: Path, count: int = 32) -> tuple[Path, Path]:
    """Write blurred noise as photos of COCO's size, one person each.

    Returns:
        The annotation file and the folder of the photos.
    """
    rng = np.random.default_rng(0)
    images = folder / 'images'
    images.mkdir(parents=True)
    entries, people = [], []
    for index in range(count):
        small = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        photo = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)
        name = f'{index:06d}.jpg'
        cv2.imwrite(str(images / name), photo)
        entries.append(dict(id=index, file_name=name, width=640, height=480))
        left, top = rng.integers(0, 300), rng.integers(0, 150)
        joints = rng.uniform((left, top), (left + 150, top + 300), (17, 2))
        visible = np.full((17, 1), 2.0)
        people.append(
            dict(
                id=index,
                image_id=index,
                category_id=1,
                iscrowd=0,
                area=45000.0,
                bbox=[int(left), int(top), 150, 300],
                num_keypoints=17,
                keypoints=np.hstack([joints, visible]).ravel().tolist(),
            )
        )
    ann_file = folder / 'people.json'
    content = dict(
        images=entries,
        annotations=people,
        categories=[dict(id=1, name='person')],
    )
    ann_file.write_text(json.dumps(content))
    return ann_file, images
