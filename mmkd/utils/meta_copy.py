"""Copies of networks that run before there are data, to learn shapes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mmkd.inputs import image_samples, input_shapes


def meta_copy(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` without storage."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(
            parameter.detach().to('meta'), requires_grad=False
        )
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.detach().to('meta')
    return copy.deepcopy(network, memo)


def real_copy(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` in float32, on the CPU."""
    return copy.deepcopy(network).cpu().float().requires_grad_(False)


#: ways to run a network: at no cost, or, where an operator has no form
#: without storage (non-maximum suppression of two-stage detectors), for real
COPIES = (meta_copy, real_copy)


def meta_input(network: nn.Module, *shape: int) -> torch.Tensor:
    """Return an input without storage, in the precision of ``network``."""
    maps = torch.empty(shape, device='meta')
    return maps.to(next(network.parameters(), maps).dtype)


def run_copy(clone: nn.Module, rows: int, shape: Sequence[int]) -> Any:
    """Run a copy of a network on images and samples that do not exist.

    Args:
        clone: from one of `COPIES`, in the mode it shall run in.
        rows: number of images.
        shape: (C, H, W) of each.
    """
    inputs = meta_input(clone, rows, *shape)
    device = next(clone.parameters(), inputs).device
    if device.type != 'meta':
        inputs = torch.randn(inputs.shape, dtype=inputs.dtype)
    samples = image_samples(clone, rows, shape)
    return clone(inputs, samples, mode='tensor')


def runnable_shape(network: nn.Module) -> tuple[int, int, int]:
    """Return the first of `input_shapes` that ``network`` runs on.

    The very first one if it runs on none.
    """
    shapes = input_shapes(network)
    for shape in shapes if len(shapes) > 1 else ():
        for make in COPIES:
            try:
                with torch.no_grad(), torch.random.fork_rng(devices=[]):
                    run_copy(make(network).eval(), 1, shape)
            except Exception:  # any operator may refuse
                continue
            return shape
    return shapes[0]
