"""Images and masks: ``images/train/*.jpg``, ``masks/train/*.png``."""

from __future__ import annotations

import colorsys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmkd.apis.code import Name
from mmkd.apis.data.folder import (
    TRAIN,
    VAL,
    FolderData,
    existing,
    images_in,
)

IMAGE_FOLDERS = ('images', 'img_dir', 'imgs', 'image', 'img', 'JPEGImages')
MASK_FOLDERS = (
    'masks', 'ann_dir', 'labels', 'annotations', 'mask', 'label', 'gt',
    'SegmentationClass',
)  # fmt: skip
IGNORED = 255
_LOOKED_AT = 200


def find(root: Path) -> FolderData | None:
    """Return images and masks of ``root``; None if it has another layout.

    Raises:
        ValueError: masks are missing, or are no masks of classes.
    """
    train = _split(root, TRAIN)
    if train is None:
        return None
    val = _split(root, VAL)
    splits = dict(train=train, **({'val': val} if val else {}))
    suffixes = {}
    for key, (images, masks) in splits.items():
        suffixes[key] = _suffixes(root, images, masks)
    count, size = _look_at(root, train, suffixes['train'])
    names, named = _names(root, count)
    return FolderData(
        'segmentation',
        root,
        names,
        len(images_in(root / train[0])),
        len(images_in(root / val[0])) if val else 0,
        f'{train[0]} with masks in {train[1]}',
        dict(classes=list(names), palette=_palette(len(names))),
        {
            key: _dataset(images, masks, *suffixes[key])
            for key, (images, masks) in splits.items()
        },
        size,
        named,
    )


def _split(root: Path, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the folders of images and masks of a split.

    Raises:
        ValueError: there are images, but no masks.
    """
    for name in existing(root, IMAGE_FOLDERS):
        for split in existing(root / name, names):
            if not images_in(root / name / split):
                continue
            for masks in existing(root, MASK_FOLDERS):
                if images_in(root / masks / split):
                    return f'{name}/{split}', f'{masks}/{split}'
            if any(root.rglob('*.json')):
                return None  # COCO
            raise ValueError(
                f'data="{root}": there are images in {name}/{split}, but no '
                f'masks in masks/{split}: the data have no labels'
            )
    for split in existing(root, names):
        for name in existing(root / split, IMAGE_FOLDERS):
            for masks in existing(root / split, MASK_FOLDERS):
                if images_in(root / split / masks):
                    return f'{split}/{name}', f'{split}/{masks}'
    return None


def _suffixes(root: Path, images: str, masks: str) -> tuple[str, str]:
    """Return how the names of images and of their masks end.

    Raises:
        ValueError: an image has no mask.
    """
    first = images_in(root / images)[0]
    kinds = Counter(path.suffix for path in images_in(root / images))
    if len(kinds) > 1:
        raise ValueError(
            f'data="{root}": {images} has files of several kinds '
            f'({", ".join(sorted(kinds))}); a data set reads one'
        )
    mask = next(
        (
            path
            for path in images_in(root / masks)
            if path.stem.startswith(first.stem)
        ),
        None,
    )
    suffix = mask.name.removeprefix(first.stem) if mask else '.png'
    for path in images_in(root / images):
        if not (root / masks / f'{path.stem}{suffix}').is_file():
            raise ValueError(
                f'data="{root}": the image {images}/{path.name} has no mask '
                f'{masks}/{path.stem}{suffix}; add it, or remove the image'
            )
    return first.suffix, suffix


def _look_at(
    root: Path, folders: tuple[str, str], suffixes: tuple[str, str]
) -> tuple[int, tuple[int, int]]:
    """Return the number of classes, and the usual (width, height).

    Raises:
        ValueError: masks have colours, another size, or no label.
    """
    images, masks = folders
    paths = images_in(root / images)
    step = max(1, len(paths) // _LOOKED_AT)
    seen: set[int] = set()
    sizes = []
    for path in paths[::step]:
        name = f'{masks}/{path.stem}{suffixes[1]}'
        mask = cv2.imread(str(root / name), cv2.IMREAD_UNCHANGED)
        if mask is None or mask.ndim != 2:
            raise ValueError(
                f'data="{root}": {name} is no mask of one channel with the '
                'number of the class in every pixel (colours?); convert the '
                'masks'
            )
        sizes.append(mask.shape[::-1])
        seen |= set(np.unique(mask).tolist())
    labels = seen - {IGNORED}
    if not labels:
        raise ValueError(
            f'data="{root}": the masks in {masks} hold {IGNORED} alone, '
            'which means "no label": the data have no labels'
        )
    width, height = np.median(sizes, axis=0).astype(int).tolist()
    return max(labels) + 1, (width, height)


def _names(root: Path, count: int) -> tuple[tuple[str, ...], bool]:
    """Return the names of the classes, by ``classes.txt`` or by number.

    Raises:
        ValueError: the masks hold more classes than the file names.
    """
    path = root / 'classes.txt'
    if not path.is_file():
        return tuple(f'class {k}' for k in range(max(count, 2))), False
    lines = path.read_text(encoding='utf-8').splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) < count:
        raise ValueError(
            f'data="{root}": classes.txt names {len(names)} classes, but '
            f'the masks hold the label {count - 1}; add the names'
        )
    return names, True


def _palette(count: int) -> list[list[int]]:
    colours = [colorsys.hsv_to_rgb(k / count, 0.7, 0.9) for k in range(count)]
    return [[round(255 * value) for value in rgb] for rgb in colours]


def _dataset(
    images: str, masks: str, image_suffix: str, mask_suffix: str
) -> dict[str, Any]:
    return dict(
        type='BaseSegDataset',
        data_root=Name('root'),
        data_prefix=dict(img_path=images, seg_map_path=masks),
        img_suffix=image_suffix,
        seg_map_suffix=mask_suffix,
        metainfo=dict(classes=Name('classes'), palette=Name('palette')),
    )
