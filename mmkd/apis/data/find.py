"""Data by a folder: of which task is it?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmkd.apis.data import classification, coco, segmentation
from mmkd.apis.data.folder import FolderData, images_in
from mmkd.apis.tasks import LAYOUTS


def find_data(folder: Path, task: str) -> FolderData:
    """Return what a folder has for a task.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has the layout of another task, or of none, or no
            labels.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f'data="{folder}" does not exist; give the folder of the data, or '
            'the config of a data set (….py)'
        )
    root = folder.resolve()
    found = _FINDERS[task](root)
    if found is not None:
        return found
    for other in _FINDERS:
        if _has(root, other):
            raise ValueError(
                f'data="{folder}" is for {other}, but the student is a '
                f'network for {task}, which needs {LAYOUTS[task]}'
            )
    note = (
        'there are images alone, without labels'
        if images_in(root) or any(map(images_in, root.rglob('*')))
        else 'there are no images'
    )
    raise ValueError(
        f'data="{folder}": {note}; for {task} it must hold {LAYOUTS[task]}'
    )


#: a folder of key points has boxes, too
_FINDERS: dict[str, Callable[[Path], FolderData | None]] = dict(
    classification=classification.find,
    segmentation=segmentation.find,
    pose=lambda root: coco.find(root, True),
    detection=lambda root: coco.find(root, False),
)


def _has(root: Path, task: str) -> bool:
    try:
        return _FINDERS[task](root) is not None
    except ValueError:
        return False
