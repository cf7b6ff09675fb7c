"""Synthetic scenes as files: images, masks, folders of classes, COCO.

What a user brings who has data of his own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmkd.toys import JOINTS, OBJECTS, Scene, make_scene

SIZE = (64, 80)
SPLITS = dict(train=6, val=2)
FIGURE = OBJECTS.index('figure')


def scenes(split: str, main_class: int | None = None) -> list[Scene]:
    """The few scenes of a split; no scene is in both splits."""
    first = 100 * list(SPLITS).index(split)
    return [
        make_scene(first + i, SIZE, num_objects=3, main_class=main_class)
        for i in range(SPLITS[split])
    ]


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_masks(root: Path, num_classes: int) -> None:
    """``images/SPLIT/N.jpg`` and ``masks/SPLIT/N.png`` of one channel."""
    for split in SPLITS:
        for i, scene in enumerate(scenes(split)):
            mask = np.minimum(scene.seg_map, num_classes - 1)
            write_image(root / f'images/{split}/{i:04}.jpg', scene.image)
            write_image(root / f'masks/{split}/{i:04}.png', mask)


def write_class_folders(root: Path, names: Sequence[str]) -> None:
    """``SPLIT/NAME/N.jpg``; the class is the largest object."""
    for split in SPLITS:
        for label, name in enumerate(names):
            for i, scene in enumerate(scenes(split, main_class=label)):
                path = root / split / name / f'{i:04}.jpg'
                write_image(path, scene.image)


def write_coco(root: Path, names: Sequence[str]) -> None:
    """``images/SPLIT/N.jpg`` and ``annotations/SPLIT.json`` with boxes."""
    for split in SPLITS:
        found = []
        for scene in scenes(split):
            pairs = zip(scene.boxes, scene.box_labels, strict=True)
            found.append(
                [
                    dict(category_id=int(label) % len(names) + 1, **box_of(b))
                    for b, label in pairs
                ]
            )
        categories = [
            dict(id=i, name=name) for i, name in enumerate(names, start=1)
        ]
        write_coco_split(root, split, scenes(split), found, categories)


def write_coco_keypoints(
    root: Path, category: str, joints: dict[str, str]
) -> None:
    """As `write_coco`, with key points.

    Args:
        root: folder to write into.
        category: name of the only category.
        joints: own name of a key point -> the figure's joint.
    """
    chosen = [JOINTS.index(joint) for joint in joints.values()]
    for split in SPLITS:
        pictures = scenes(split, main_class=FIGURE)
        found = []
        for scene in pictures:
            points, seen = scene.keypoints[0], scene.visibility[0]
            inside = points[seen > 0]
            box = np.concatenate([inside.min(0) - 2, inside.max(0) + 2])
            triples = [(*points[j].tolist(), int(seen[j])) for j in chosen]
            found.append(
                [
                    dict(
                        category_id=1,
                        keypoints=[value for t in triples for value in t],
                        num_keypoints=sum(t[2] > 0 for t in triples),
                        **box_of(box),
                    )
                ]
            )
        categories = [dict(id=1, name=category, keypoints=list(joints))]
        write_coco_split(root, split, pictures, found, categories)


def write_crops(folder: Path) -> None:
    """Images of one figure each, without any annotation."""
    for i, scene in enumerate(scenes('train', main_class=FIGURE)):
        write_image(folder / f'{i:04}.jpg', scene.image)


def box_of(corners: np.ndarray) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in corners)
    width, height = x2 - x1, y2 - y1
    return dict(bbox=[x1, y1, width, height], area=width * height, iscrowd=0)


def write_coco_split(
    root: Path,
    split: str,
    pictures: Sequence[Scene],
    found: Sequence[Sequence[dict[str, Any]]],
    categories: list[dict[str, Any]],
) -> None:
    images, annotations = [], []
    for i, (scene, entries) in enumerate(zip(pictures, found, strict=True)):
        name = f'{i:04}.jpg'
        write_image(root / 'images' / split / name, scene.image)
        images.append(
            dict(id=i, file_name=name, height=SIZE[0], width=SIZE[1])
        )
        for entry in entries:
            annotations.append(dict(id=len(annotations) + 1, image_id=i))
            annotations[-1].update(entry)
    path = root / 'annotations' / f'{split}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(
        images=images, annotations=annotations, categories=categories
    )
    path.write_text(json.dumps(content))
