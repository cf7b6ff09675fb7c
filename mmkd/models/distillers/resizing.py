"""Maps of student and teacher at one size, where a loss asks for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from mmkd.models.distillers.shrink import as_list
from mmkd.models.losses.label_maps import downsample_labels
from mmkd.taps import Tensors

SIDES = ('student', 'teacher')


def check_resize(name: str, resize: Any, paired: bool) -> None:
    """Refuse what the key ``resize`` of a loss cannot be.

    Args:
        name: of the loss.
        resize: value of the key; None where there is none.
        paired: it reads as many tensors of the teacher as of the student.

    Raises:
        ValueError: names the key and the cure.
    """
    if resize is None:
        return
    if resize not in SIDES:
        raise ValueError(
            f"losses.{name}.resize={resize!r}: write resize='teacher' (its "
            "maps get the student's height and width) or 'student'"
        )
    if not paired:
        raise ValueError(
            f'losses.{name}.resize={resize!r} is for losses that read as '
            'many tensors of the teacher as of the student: remove it, or '
            'correct "on"'
        )


def resized(
    name: str, values: Sequence[Tensors], resize: str
) -> list[Tensors]:
    """Return the tensors of a loss, those of one side at the other's sizes.

    Args:
        name: of the loss, for messages.
        values: the student's tensors, then equally many of the teacher;
            maps (N, C, h, w), lists of maps, or others, which stay.
        resize: whose maps are resized: bilinearly, integers to the nearest.

    Raises:
        ValueError: there are no maps.
    """
    half = len(values) // 2
    sides = list(values[:half]), list(values[half:])
    moved, kept = sides if resize == 'student' else sides[::-1]
    if not any(_is_map(t) for value in moved for t in as_list(value)):
        raise ValueError(
            f'losses.{name}.resize={resize!r}, but it reads no maps (N, C, '
            'h, w): remove it'
        )
    moved[:] = [_like(a, b) for a, b in zip(moved, kept, strict=True)]
    return [*sides[0], *sides[1]]


def resized_labels(
    labels: torch.Tensor, values: Sequence[Tensors]
) -> torch.Tensor:
    """Return label maps (N, H, W) at the size of the maps, to the nearest.

    Labels of images stay, and so do label maps beside lists of maps.
    """
    first = values[0]
    if labels.ndim < 3 or not isinstance(first, torch.Tensor):
        return labels
    return downsample_labels(labels, first.shape) if _is_map(first) else labels


def resized_shape(moved: Any, kept: Any) -> Any:
    """Return the shape, or list of shapes, that `resized` makes."""
    if isinstance(moved, list) and isinstance(kept, list):
        if len(moved) != len(kept):
            return moved
        return [resized_shape(a, b) for a, b in zip(moved, kept, strict=True)]
    if moved is None or kept is None or not len(moved) == len(kept) == 4:
        return moved
    return torch.Size([*moved[:2], *kept[2:]])


def _is_map(value: torch.Tensor) -> bool:
    return value.ndim == 4


def _like(moved: Tensors, kept: Tensors) -> Tensors:
    if isinstance(moved, torch.Tensor) and isinstance(kept, torch.Tensor):
        if not (_is_map(moved) and _is_map(kept)):
            return moved
        return _at_size(moved, kept.shape[2:])
    if isinstance(moved, torch.Tensor) or isinstance(kept, torch.Tensor):
        return moved  # the loss says what is wrong
    if len(moved) != len(kept):
        return moved
    pairs = zip(moved, kept, strict=True)
    return [_like(a, b) for a, b in pairs]  # type: ignore[misc]


def _at_size(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return maps (N, C, H, W) at height and width ``size``."""
    if maps.shape[2:] == tuple(size):
        return maps
    if maps.is_floating_point():
        return functional.interpolate(
            maps, tuple(size), mode='bilinear', align_corners=False
        )
    flat = maps.flatten(0, 1)
    flat = downsample_labels(flat, (len(flat), 1, *size))
    return flat.unflatten(0, maps.shape[:2])


# -- what a message says of different sizes -----------------------------------


def config_line(
    name: str,
    config: Mapping[str, Any],
    student: Sequence[str],
    teacher: Sequence[str],
) -> str:
    """Return a loss as a config has it, with ``resize``."""
    kind: Any = config.get('type')
    kind = repr(kind) if isinstance(kind, str) else kind.__name__
    on, theirs = (
        repr(names[0] if len(names) == 1 else list(names))
        for names in (student, teacher)
    )
    if on != theirs:
        on = f'dict(student={on}, teacher={theirs})'
    return f"losses=dict({name}=dict(type={kind}, on={on}, resize='teacher'))"


def size_hint(
    line: str,
    names: Sequence[tuple[str, str]],
    values: Sequence[Tensors],
    size: Sequence[int],
) -> str:
    """Return what is known of maps that differ in height or width.

    Args:
        line: the loss in a config, with ``resize``.
        names: label of the role and name, of each of ``values``.
        values: the student's tensors, then equally many of the teacher.
        size: (H, W) of the images.

    Returns:
        Strides and the cure, empty if the sizes agree.
    """
    half = len(values) // 2
    found = []
    for k in range(half if len(values) % 2 == 0 else 0):
        pair = [_strides(values[i], size) for i in (k, k + half)]
        if all(pair) and pair[0] != pair[1]:
            found.append((k, pair))
    if not found:
        return ''
    texts = [
        f'{" ".join(names[i])} {", ".join(strides)}'
        for k, pair in found
        for i, strides in zip((k, k + half), pair, strict=True)
    ]
    text = (
        f'strides of the maps ({size[0]}x{size[1]} images): {"; ".join(texts)}'
    )
    if any(len(one) != len(two) for _, (one, two) in found):
        return (
            f"{text}; tap equally many levels, by index, e.g. 'neck[0]', or a "
            'list of those'
        )
    return (
        f'{text}; choose taps of equal stride, or resize maps of one side to '
        f"the other's size, bilinearly: {line}"
    )


def _strides(value: Tensors, size: Sequence[int]) -> list[str]:
    """Return height x width of the images per position, by level."""
    found = []
    for maps in as_list(value):
        if not _is_map(maps):
            return []
        sides = [
            f'{_stride(image, own):.4g}'
            for image, own in zip(size, maps.shape[2:], strict=True)
        ]
        found.append(sides[0] if sides[0] == sides[1] else 'x'.join(sides))
    return found


def _stride(image: int, own: int) -> float:
    """Return the stride: a power of 2 if rounding up its share gives own."""
    power = 2 ** math.ceil(math.log2(image / own))
    return power if math.ceil(image / power) == own else image / own
