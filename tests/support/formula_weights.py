"""The formula weights of golden cases 20 to 25 of CIRKD.

Tensor number i of a network (in the order of ``STATE_ORDER.txt``, batch
counters skipped) is a fixed function of its shape and of i.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


def formula(numel: int, index: int) -> Tensor:
    """v(k) = sin(0.731 k + 0.917 index + 0.3 sin(0.0173 k)), float64."""
    k = torch.arange(numel, dtype=torch.float64)
    return torch.sin(0.731 * k + 0.917 * index + 0.3 * torch.sin(0.0173 * k))


def formula_input(shape: Sequence[int], index: int, scale: float) -> Tensor:
    """Return the network input of a golden case."""
    shape = tuple(int(size) for size in shape)
    numel = int(torch.Size(shape).numel())
    return scale * formula(numel, int(index)).reshape(shape)


def set_formula_weights(
    modules: Sequence[nn.Module], shapes: Sequence[tuple[int, ...]]
) -> None:
    """Fill the modules, in this order, as float64.

    Args:
        modules: convolutions and normalisation layers in golden order.
        shapes: shapes of the golden tensors, which must be met one by one.
    """
    names = ('weight', 'bias', 'running_mean', 'running_var')
    index = 0
    for module in modules:
        module.double()
        is_norm = hasattr(module, 'running_var')
        for name in names:
            tensor = getattr(module, name, None)
            if tensor is None:
                continue
            assert tuple(tensor.shape) == shapes[index], (index, module)
            v = formula(tensor.numel(), index).reshape(tensor.shape)
            if tensor.dim() >= 2:
                value = 2 / tensor[0].numel() ** 0.5 * v
            elif name == 'running_var':
                value = 1 + 0.5 * v**2
            elif is_norm and name == 'weight':
                value = 1 + 0.2 * v
            else:
                value = 0.1 * v
            tensor.data.copy_(value)
            index += 1
    assert index == len(shapes)


def layers(*modules: nn.Module) -> list[nn.Module]:
    """Return the convolutions and normalisations inside, in order."""
    return [
        layer
        for module in modules
        for layer in module.modules()
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d))
    ]


def read_state_names(case: str) -> list[tuple[str, tuple[int, ...]]]:
    """Return names and shapes of one case of ``STATE_ORDER.txt``."""
    path = Path(__file__).parents[1] / 'golden' / 'cirkd' / 'STATE_ORDER.txt'
    block = next(
        part
        for part in path.read_text().split('\n\n')
        if part.strip().startswith(case)
    )
    tensors = []
    for line in block.strip().splitlines()[1:]:
        name = line.split()[1]
        sizes = line[line.index('(') + 1 : line.index(')')].split(',')
        tensors.append((name, tuple(int(n) for n in sizes if n.strip())))
    return tensors


def read_state_order(case: str) -> list[tuple[int, ...]]:
    """Return the tensor shapes of one case of ``STATE_ORDER.txt``."""
    return [shape for _, shape in read_state_names(case)]
