"""A student's heads for other classes: changes to its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_JOINTS = ('out_channels', 'num_joints', 'num_keypoints')


def class_options(
    model: Any, task: str, old: int | None, new: int
) -> dict[str, Any]:
    """Return ``model.….num_classes`` -> number, wherever it is the old one.

    Args:
        model: dict of the student.
        task: a task.
        old: its classes or key points.
        new: those of the data.
    """
    if old == new:
        return {}
    options: dict[str, Any] = {}
    for path, key, value in _entries(model, 'model'):
        if task == 'pose':
            if path == 'model.head' and key in _JOINTS and value == old:
                options[f'{path}.{key}'] = new
        elif (
            key == 'num_classes'
            and value in (old, None)
            and ('preprocessor' not in path or value == old)
        ):
            options[f'{path}.{key}'] = new
        elif key == 'class_weight' and isinstance(value, (list, tuple)):
            if len(value) == old:
                options[f'{path}.{key}'] = None
            elif old is not None and len(value) == old + 1:  # and "nothing"
                options[f'{path}.{key}'] = [1.0] * new + [value[-1]]
        elif key == 'topk' and new <= 5:
            options[f'{path}.{key}'] = (1,)
        elif key == 'out_channels' and path.endswith('decode_head'):
            options[f'{path}.{key}'] = new
    if model.get('type') == 'TimmClassifier':
        options['model.num_classes'] = new
    return options


def _entries(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Return (path of the dict, key, value) of every entry."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield path, str(key), entry
            yield from _entries(entry, f'{path}.{key}')
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _entries(entry, f'{path}.{index}')
