"""The weights that golden cases of backbones are computed with.

`fill_by_role` is the rule of the MCL cases, `fill_by_order` the one of the
classification baselines and of HSAKD.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fraction(numel: int, role: int) -> Tensor:
    """frac(43758.5453 sin(12.9898 (i + 1) + 78.233 role)), float64."""
    i = torch.arange(1, numel + 1, dtype=torch.float64)
    x = 43758.5453 * torch.sin(12.9898 * i + 78.233 * role)
    return x - x.floor()


@torch.no_grad()
def fill_by_role(*modules: nn.Module) -> None:
    """Make float64 weights that depend on shape and role only."""

    def write(tensor: Tensor, role: int, scale: float, shift: float) -> None:
        values = shift + scale * fraction(tensor.numel(), role)
        tensor.copy_(values.reshape(tensor.shape))

    for layer in (m.double() for module in modules for m in module.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = math.sqrt(3 / layer.weight[0].numel())
            write(layer.weight, 1, 2 * bound, -bound)
            if layer.bias is not None:
                write(layer.bias, 2, 0.2, -0.1)
        elif isinstance(layer, NORMS):
            write(layer.weight, 3, 0.2, 0.9)
            write(layer.bias, 4, 0.2, -0.1)
            write(layer.running_mean, 5, 0.2, -0.1)
            write(layer.running_var, 6, 1.0, 1.0)


def input_by_role() -> Tensor:
    """Return the input of the MCL cases, (2, 3, 32, 32)."""
    return (2 * fraction(2 * 3 * 32 * 32, 7) - 1).reshape(2, 3, 32, 32)


def hashed(numel: int, seed: int) -> np.ndarray:
    """Return uniform numbers in [-0.5, 0.5), a hash of index and seed."""
    mask = np.uint64(0xFFFFFFFF)
    i = np.arange(numel, dtype=np.uint64)
    offset = np.uint64((seed * 2246822519 + 374761393) % 2**32)
    h = (i * np.uint64(2654435761) + offset) & mask
    h ^= h >> np.uint64(15)
    h = h * np.uint64(2246822519) & mask
    h ^= h >> np.uint64(13)
    h = h * np.uint64(3266489917) & mask
    h ^= h >> np.uint64(16)
    return h.astype(np.float64) / 2**32 - 0.5


def image(shape: Sequence[int], seed: int) -> Tensor:
    """Return hashed pixels of variance 1, float64."""
    values = hashed(math.prod(shape), seed) * math.sqrt(12)
    return torch.from_numpy(values).reshape(*shape)


@torch.no_grad()
def fill_by_order(*modules: nn.Module) -> nn.Module:
    """Fill layers as they are executed, one after another, as float64.

    Weights count how many of their shape came before in execution order. So
    they are written by hooks during a first run on a zero image.

    Returns:
        The modules as one sequential network, weights filled, statistics
        reset, in training mode.
    """
    net = nn.Sequential(*modules).double().train()
    seen: Counter[tuple[int, ...]] = Counter()

    def write(layer: nn.Module, _: object) -> None:
        shape = tuple(layer.weight.shape)
        seed = 17
        for size in shape:
            seed = (seed * 31 + size) % 1000003
        seed = seed * 1000 + seen[shape]
        seen[shape] += 1
        fan_in = math.prod(shape[1:])
        scale = math.sqrt(12) * math.sqrt(2 / fan_in)
        values = torch.from_numpy(hashed(math.prod(shape), seed) * scale)
        layer.weight.copy_(values.float().reshape(shape))
        if layer.bias is not None:
            bias = 0.2 * hashed(shape[0], seed + 500)
            layer.bias.copy_(torch.from_numpy(bias).float())

    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_pre_hook(write) for layer in layers]
    net(torch.zeros(2, 3, 32, 32, dtype=torch.float64))
    for hook in hooks:
        hook.remove()
    for norm in (m for m in net.modules() if isinstance(m, NORMS)):
        norm.reset_running_stats()
    return net
