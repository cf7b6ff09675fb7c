"""COCO files: ``annotations/train.json`` with ``images/train``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmkd.apis.code import Name
from mmkd.apis.data.folder import TRAIN, VAL, FolderData

_SIGMA = 0.05  # how exactly people mark a key point, as a share of the box


@dataclass
class _Split:
    """A file and the folder of its images, both relative to the root."""

    file: str
    images: str
    content: dict[str, Any]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        return self.content['annotations']


def find(root: Path, pose: bool) -> FolderData | None:
    """Return the COCO files of ``root``; None if it has none.

    Args:
        root: the folder.
        pose: key points are wanted, else boxes.

    Raises:
        ValueError: the files have no labels of that kind, or no images.
    """
    train = _split(root, TRAIN)
    if train is None:
        return None
    if not train.annotations:
        raise ValueError(
            f'data="{root}": {train.file} has no annotations: the data have '
            'no labels'
        )
    val = _split(root, VAL)
    splits = dict(train=train, **({'val': val} if val else {}))
    if val and val.file == train.file:
        splits.pop('val')
    return (_pose if pose else _boxes)(root, splits)


def _files(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Return JSON files whose name or folder says the split."""
    for path in sorted([*root.glob('*.json'), *root.glob('*/*.json')]):
        words = path.stem.lower()
        if path.parent.name in names or any(name in words for name in names):
            yield path


def _split(root: Path, names: tuple[str, ...]) -> _Split | None:
    """Return the first COCO file of a split.

    Raises:
        ValueError: its images are not found, or it cannot be read.
    """
    for path in _files(root, names):
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(
                f'data="{root}": {path.name} cannot be read ({error}); '
                'correct the file'
            ) from error
        if not isinstance(content, dict) or not content.get('images'):
            continue
        content.setdefault('annotations', [])
        content.setdefault('categories', [])
        relative = path.relative_to(root).as_posix()
        return _Split(relative, _images_of(root, path, content), content)
    return None


def _images_of(root: Path, path: Path, content: dict[str, Any]) -> str:
    first = content['images'][0]['file_name']
    stem = path.stem
    places = [path.parent, root]
    for name in (stem, stem.rpartition('_')[2], path.parent.name):
        places += [root / 'images' / name, root / name, root / name / 'images']
    places.append(root / 'images')
    for place in places:
        if (place / first).is_file():
            return place.relative_to(root).as_posix()
    raise ValueError(
        f'data="{root}": the images of {path.name} are not found, its first '
        f'one is {first}; put them into images/{stem}/'
    )


def _boxes(root: Path, splits: dict[str, _Split]) -> FolderData:
    train = splits['train']
    if not any(entry.get('bbox') for entry in train.annotations):
        raise ValueError(
            f'data="{root}": the annotations of {train.file} have no "bbox": '
            'the data have no labels for a detector'
        )
    names = [entry['name'] for entry in train.content['categories']]
    _require_categories(root, splits, names)
    data = _folder('detection', root, splits, tuple(names))
    data.settings = dict(metainfo=dict(classes=tuple(names)))
    for key, split in splits.items():
        data.datasets[key] = _dataset(split)
    if 'val' in splits:
        data.datasets['val']['test_mode'] = True
    data.datasets['train']['filter_cfg'] = dict(
        filter_empty_gt=True, min_size=1
    )
    return data


def has_masks(root: Path) -> bool:
    """Return whether the boxes of ``root`` have masks."""
    train = _split(root, TRAIN)
    return train is not None and all(
        entry.get('segmentation') for entry in train.annotations
    )


def _require_categories(
    root: Path, splits: dict[str, _Split], names: list[str]
) -> None:
    for split in splits.values():
        if [e['name'] for e in split.content['categories']] != names:
            raise ValueError(
                f'data="{root}": {split.file} has other categories than '
                f'{splits["train"].file}; make them equal'
            )


def _pose(root: Path, splits: dict[str, _Split]) -> FolderData:
    train = splits['train']
    categories = [e for e in train.content['categories'] if e.get('keypoints')]
    if not categories or not any(
        entry.get('num_keypoints', 1) and any(entry.get('keypoints') or ())
        for entry in train.annotations
    ):
        raise ValueError(
            f'data="{root}": {train.file} has no key points (categories with '
            '"keypoints", annotations with "keypoints"): the data have no '
            'labels for pose'
        )
    joints = [str(name) for name in categories[0]['keypoints']]
    data = _folder('pose', root, splits, tuple(joints))
    data.train = len(train.annotations)
    data.val = len(splits['val'].annotations) if 'val' in splits else 0
    data.settings = dict(
        metainfo=_metainfo(root.name, joints, categories[0].get('skeleton'))
    )
    for key, split in splits.items():
        data.datasets[key] = dict(_dataset(split), data_mode='topdown')
    if 'val' in splits:
        data.datasets['val']['test_mode'] = True
    return data


def _metainfo(
    name: str, joints: list[str], skeleton: list[list[int]] | None
) -> dict[str, Any]:
    """Return mmpose's description of key points.

    Left and right ones are swapped by their names.
    """
    points = {}
    for k, joint in enumerate(joints):
        swap = ''
        for one, two in (('left', 'right'), ('right', 'left')):
            other = joint.replace(one, two)
            if other != joint and other in joints:
                swap = other
        points[k] = dict(name=joint, id=k, color=[0, 255, 0], swap=swap)
        points[k]['type'] = ''
    bones = {
        k: dict(
            link=(joints[a - 1], joints[b - 1]), id=k, color=[255, 128, 0]
        )
        for k, (a, b) in enumerate(skeleton or ())
    }
    return dict(
        dataset_name=name,
        keypoint_info=points,
        skeleton_info=bones,
        joint_weights=[1.0] * len(joints),
        sigmas=[_SIGMA] * len(joints),
    )


def _folder(
    task: str, root: Path, splits: dict[str, _Split], names: tuple[str, ...]
) -> FolderData:
    counts = {k: len(split.content['images']) for k, split in splits.items()}
    return FolderData(
        task,
        root,
        names,
        counts['train'],
        counts.get('val', 0),
        f'COCO, {" and ".join(split.file for split in splits.values())}',
    )


def _dataset(split: _Split) -> dict[str, Any]:
    return dict(
        type='CocoDataset',
        data_root=Name('root'),
        ann_file=split.file,
        data_prefix=dict(img='' if split.images == '.' else split.images),
        metainfo=Name('metainfo'),
    )
