"""Questions about layers."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd


def submodule(network: nn.Module, name: str) -> Any:
    """Return the layer at a path; its attributes are not type-checked."""
    return network.get_submodule(name)


def convolutions(network: nn.Module) -> dict[str, _ConvNd]:
    """Return all convolutions of ``network`` by path."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, _ConvNd)
    }


def is_depthwise(conv: _ConvNd) -> bool:
    """Return whether output channel j depends on input channel j alone."""
    return conv.groups == conv.in_channels == conv.out_channels > 1


def as_padding(conv: _ConvNd) -> tuple[int, ...]:
    """Return the padding in pixels; ``'same'`` counts as kernel size - 1."""
    if isinstance(conv.padding, str):
        same = conv.padding == 'same'
        return tuple(same * (size - 1) for size in conv.kernel_size)
    return tuple(conv.padding)


def pads_zeros(layer: nn.Module) -> bool:
    """Return whether outputs at the border see zeros around the map."""
    if not isinstance(layer, _ConvNd):
        return False
    if layer.transposed:
        return True
    return layer.padding_mode == 'zeros' and any(as_padding(layer))
