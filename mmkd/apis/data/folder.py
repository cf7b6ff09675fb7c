"""What is found in a folder of data, and how a config reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
TRAIN = ('train', 'training', 'train2017')
VAL = ('val', 'valid', 'validation', 'test', 'testing', 'val2017')


@dataclass
class FolderData:
    """A folder of labelled images.

    Args:
        task: whose layout it has.
        root: the folder.
        classes: names, in the order of their numbers.
        train, val: how many images, or instances of pose; ``val`` is 0
            where there are none.
        layout: in words.
        settings: variables at the top of the config.
        datasets: split -> data set without its pipeline.
        size: usual (width, height) of the images, if it was looked at.
        named: whether the data say the names of the classes.
    """

    task: str
    root: Path
    classes: tuple[str, ...]
    train: int
    val: int
    layout: str
    settings: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    named: bool = True


def images_in(folder: Path) -> list[Path]:
    """Return the image files directly in ``folder``, sorted."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in IMAGES
    )


def folders_in(folder: Path) -> list[Path]:
    """Return the folders directly in ``folder``, sorted, without hidden."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith('.')
    )


def existing(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Return those of ``names`` that are folders in ``root``."""
    for name in names:
        if (root / name).is_dir():
            yield name
