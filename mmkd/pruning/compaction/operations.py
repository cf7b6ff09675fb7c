"""What functions without parameters do to channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmkd.pruning.compaction.graph import ChannelGraph, Channels


@dataclass(frozen=True)
class Call:
    """A call of a function that returned one tensor.

    Args:
        name: of the function.
        func: the function.
        args: positional arguments.
        kwargs: keyword arguments.
        shapes: of the inputs whose channels are known.
        output: shape of the result.
    """

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: Sequence[torch.Size]
    output: torch.Size

    def argument(self, index: int, key: str, default: Any = None) -> Any:
        """Return an argument given by position or by keyword."""
        if key in self.kwargs:
            return self.kwargs[key]
        return self.args[index] if len(self.args) > index else default


_POINTWISE = {
    'relu',
    'relu_',
    'relu6',
    'hardtanh',
    'hardtanh_',
    'silu',
    'gelu',
    'hardswish',
    'hardsigmoid',
    'sigmoid',
    'sigmoid_',
    'tanh',
    'tanh_',
    'leaky_relu',
    'leaky_relu_',
    'elu',
    'elu_',
    'selu',
    'celu',
    'softplus',
    'mish',
    'clamp',
    'clamp_',
    'clamp_min',
    'clamp_max',
    'neg',
    'abs',
    'exp',
}
_ADDITIONS = {'add', 'add_', '__add__', '__iadd__', '__radd__'}
_ARITHMETIC = _ADDITIONS | {
    'mul',
    'mul_',
    '__mul__',
    '__imul__',
    '__rmul__',
    'sub',
    'sub_',
    '__sub__',
    '__isub__',
    'div',
    'div_',
    '__truediv__',
    '__itruediv__',
    'true_divide',
}
# The same value at all pixels stays the same value at all pixels.
_PRESERVING = {
    'interpolate',
    'upsample',
    'max_pool2d',
    'max_pool1d',
    'adaptive_avg_pool2d',
    'adaptive_avg_pool1d',
    'adaptive_max_pool2d',
    'clone',
    'contiguous',
    'detach',
    'to',
    'float',
    'double',
    'half',
    'type_as',
}
_DROPOUTS = {'dropout', 'dropout1d', 'dropout2d', 'feature_dropout'}
_RESHAPES = {'flatten', 'view', 'reshape', 'squeeze'}
_CONCATENATIONS = {'cat', 'concat', 'concatenate'}


def follow(
    call: Call,
    inputs: list[Tensor],
    channels: list[Channels],
    graph: ChannelGraph,
) -> Channels | None:
    """Return the channels of the result; None if they are not known."""
    one = channels[0]
    name = call.name
    if name in _CONCATENATIONS:
        return _concatenate(call, inputs, channels)
    if name in _ARITHMETIC:
        return _arithmetic(call, inputs, channels, graph)
    if len(inputs) > 1 or not call.args or call.args[0] is not inputs[0]:
        return None
    if name in _POINTWISE:
        rest = call.args[1:]
        if any(isinstance(v, Tensor) for v in (*rest, *call.kwargs.values())):
            return None
        return graph.pointwise(
            lambda x: call.func(x, *rest, **call.kwargs), one
        )
    if name in _PRESERVING:
        return one
    if name in _DROPOUTS:
        return None if call.argument(2, 'training', True) else one
    if name in ('avg_pool2d', 'avg_pool1d'):
        padding = call.argument(3, 'padding', 0)
        counted = call.argument(5, 'count_include_pad', True)
        return one.only_zeros() if _nonzero(padding) and counted else one
    if name == 'mean':
        return _mean(call, one)
    if name == 'pad':
        return _pad(call, one)
    if name in _RESHAPES:
        return _reshape(call, one)
    if name == '__getitem__':
        return _crop(call, one)
    return None


def _concatenate(
    call: Call, inputs: list[Tensor], channels: list[Channels]
) -> Channels | None:
    tensors = call.argument(0, 'tensors')
    dim = call.argument(1, 'dim', call.kwargs.get('axis', 0))
    if dim not in (1, 1 - len(call.output)):
        return None
    known = {
        id(tensor): entry
        for tensor, entry in zip(inputs, channels, strict=True)
    }
    parts = [
        known[id(tensor)] if id(tensor) in known else _fixed(tensor.shape[1])
        for tensor in tensors
    ]
    return Channels(
        torch.cat([part.ids for part in parts]),
        torch.cat([part.const for part in parts]),
        torch.cat([part.value for part in parts]),
        any(part.summed for part in parts),
    )


def _fixed(count: int) -> Channels:
    return Channels(
        torch.full((count,), -1),
        torch.zeros(count, dtype=torch.bool),
        torch.zeros(count, dtype=torch.float64),
    )


def _arithmetic(
    call: Call,
    inputs: list[Tensor],
    channels: list[Channels],
    graph: ChannelGraph,
) -> Channels | None:
    operands = call.args[:2]
    if len(operands) < 2:
        return None
    tensors = [v for v in operands if isinstance(v, Tensor) and v.ndim]
    scaled = call.kwargs.get('alpha', 1) != 1
    if len(tensors) == 2:
        if (
            call.name not in _ADDITIONS
            or scaled
            or len(inputs) != 2
            or tensors[0].shape != tensors[1].shape
        ):
            return None
        return graph.couple(*channels)

    def same(x: Tensor) -> Tensor:
        values = [x if v is inputs[0] else v for v in operands]
        return call.func(*values, *call.args[2:], **call.kwargs)

    return graph.pointwise(same, channels[0])


def _mean(call: Call, channels: Channels) -> Channels | None:
    dims = call.argument(1, 'dim')
    if dims is None:
        return None
    dims = [dims] if isinstance(dims, int) else list(dims)
    rank = len(call.shapes[0])
    return channels if all(dim % rank >= 2 for dim in dims) else None


def _pad(call: Call, channels: Channels) -> Channels | None:
    pads = list(call.argument(1, 'pad'))
    if any(pads[2 * (len(call.shapes[0]) - 2) :]):
        return None  # of channels or images
    if call.argument(2, 'mode', 'constant') != 'constant':
        return channels
    if call.argument(3, 'value', None):
        return None
    return channels.only_zeros() if any(pads) else channels


def appends_channels(call: Call, count: int) -> bool:
    """Return whether a padding appends ``count`` zero channels."""
    pads = list(call.argument(1, 'pad'))
    before = [0] * (2 * len(call.shapes[0]) - 3)
    return (
        pads == [*before, count]
        and call.argument(2, 'mode', 'constant') == 'constant'
        and not call.argument(3, 'value', None)
    )


def _reshape(call: Call, channels: Channels) -> Channels | None:
    before, after = call.shapes[0], call.output
    if len(after) < 2 or before[0] != after[0]:
        return None
    if before[1] == after[1]:
        return channels
    pixels = math.prod(before[2:])
    if len(after) == 2 and after[1] == before[1] * pixels:
        return channels.repeat(pixels)
    return None


def _crop(call: Call, channels: Channels) -> Channels | None:
    index = call.args[1]
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(i, slice) or i is Ellipsis for i in index):
        return None
    every = len(index) < 2 or index[1] == slice(None)
    if Ellipsis in index[:2]:
        every = call.output[1] == call.shapes[0][1]
    return channels if every else None


def _nonzero(padding: Any) -> bool:
    return any(padding) if isinstance(padding, Sequence) else bool(padding)
