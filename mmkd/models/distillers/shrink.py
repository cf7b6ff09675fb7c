"""Small random tensors in place of large taps, for the rehearsal."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from mmkd.taps import Tensors


class Shrink:
    """Random tensors with the shapes of taps, height and width reduced.

    Equal sizes stay equal and different sizes stay different. Without
    ``largest``, the size to allow, nothing is reduced.
    """

    def __init__(
        self,
        sides: Iterable[dict[str, Tensors]],
        shape: tuple[int, ...],
        largest: int | None = None,
    ) -> None:
        dims = sorted(
            {
                size
                for side in sides
                for value in side.values()
                for tensor in as_list(value)
                if tensor.dim() == 4
                for size in tensor.shape[2:]
            }
        )
        factor = 1
        if largest:
            factor = math.ceil(max(dims, default=1) / largest)
        self.map: dict[int, int] = {}
        for size in dims:
            small = math.ceil(size / factor)
            while small in self.map.values():
                small += 1
            self.map[size] = small
        self.size = tuple(math.ceil(size / factor) for size in shape[1:])

    def __call__(self, value: Tensors) -> Tensors:
        tensors = []
        for tensor in as_list(value):
            size = list(tensor.shape)
            if tensor.dim() == 4:
                size[2:] = [self.map[dim] for dim in size[2:]]
            tensors.append(torch.randn(size))
        return tensors if isinstance(value, list) else tensors[0]


def as_list(value: Tensors) -> list[torch.Tensor]:
    """Return the tensors of a tap."""
    return value if isinstance(value, list) else [value]


def size_of(value: Tensors) -> torch.Size | list[torch.Size]:
    """Return the shape of a tap, or those of its list of tensors."""
    if isinstance(value, list):
        return [tensor.shape for tensor in value]
    return value.shape


def shapes_of(value: Tensors | None) -> str:
    """Return the shapes of a tap as text."""
    if value is None:
        return '(auxiliary head)'
    return ', '.join(str(tuple(tensor.shape)) for tensor in as_list(value))


def cast(value: Tensors, dtype: torch.dtype | None) -> Tensors:
    """Return the tensors in the precision of their network."""
    if dtype is None:
        return value
    if isinstance(value, list):
        return [tensor.to(dtype) for tensor in value]
    return value.to(dtype)
