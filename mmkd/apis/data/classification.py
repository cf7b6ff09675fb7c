"""Class folders: ``train/CLASS/*.jpg``, ``val/CLASS/*.jpg``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmkd.apis.code import Name
from mmkd.apis.data.folder import (
    TRAIN,
    VAL,
    FolderData,
    existing,
    folders_in,
    images_in,
)


def find(root: Path) -> FolderData | None:
    """Return the class folders of ``root``; None if it has another layout.

    Raises:
        ValueError: images without class folders, empty ones, or other ones
            for validation.
    """
    train = next(existing(root, TRAIN), None)
    if train is None:
        return None
    folders = folders_in(root / train)
    if not folders:
        if images_in(root / train):
            raise ValueError(
                f'data="{root}": {train}/ has images, but no class folders: '
                'the data have no labels; put every class into a folder of '
                f'its own, {train}/CLASS/*.jpg'
            )
        return None
    counts = {path.name: len(images_in(path)) for path in folders}
    if not any(counts.values()):
        return None
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise ValueError(
            f'data="{root}": the class folder {train}/{empty[0]} has no '
            'images; fill or remove it'
        )
    if len(counts) < 2:
        raise ValueError(
            f'data="{root}": there is a single class folder in {train}/, '
            f'{folders[0].name}: a classifier needs two or more'
        )
    val = next(existing(root, VAL), None)
    held_out = folders_in(root / val) if val else []
    if val:
        _require_same(root, train, val, list(counts), held_out)
    splits = dict(train=train, **({'val': val} if val else {}))
    return FolderData(
        'classification',
        root,
        tuple(counts),
        sum(counts.values()),
        sum(len(images_in(path)) for path in held_out),
        f'class folders in {" and ".join(map(str, splits.values()))}',
        dict(classes=list(counts)),
        {key: _dataset(name) for key, name in splits.items()},
    )


def _require_same(
    root: Path, train: str, val: str, names: list[str], others: list[Path]
) -> None:
    differ = set(names) ^ {path.name for path in others}
    if differ:
        raise ValueError(
            f'data="{root}": {train}/ and {val}/ have other class folders '
            f'({", ".join(sorted(differ)[:3])} in one of them alone), and '
            'their order gives the numbers of the classes; make them equal'
        )


def _dataset(split: str) -> dict[str, Any]:
    return dict(
        type='CustomDataset',
        data_root=Name('root'),
        data_prefix=split,
        with_label=True,
        metainfo=dict(classes=Name('classes')),
    )
