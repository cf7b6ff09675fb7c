"""Constants of channels that go, moved into the layers that read them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.pruning.compaction.choose import Choice
from mmkd.pruning.compaction.graph import Reader
from mmkd.pruning.compaction.modules import submodule


@torch.no_grad()
def fold_constants(network: nn.Module, choice: Choice) -> set[str]:
    """Change layers so that constant channels may be cut without effect.

    Where no zero padding touches the map, the sum of the constants goes into
    the running mean of the following batch norm or into the bias; elsewhere
    the weights of all lost channels are merged into that of the carrier,
    which stays in the network.

    Args:
        network: changed in place, still of full width.
        choice: of its channels.

    Returns:
        Paths of the layers that got a bias.
    """
    with_bias: set[str] = set()
    for name, reader in choice.graph.readers.items():
        lost = ~choice.keeps(reader.channels.ids)
        if not (reader.channels.value[lost] != 0).any():
            continue
        layer = submodule(network, name)
        if not reader.foldable:
            _merge_columns(layer, reader, choice)
            continue
        shift = _shift(layer, reader, lost)
        if not shift.any():
            continue
        norm = submodule(network, choice.graph.norm_of.get(name, name))
        if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
            mean = norm.running_mean
            mean.copy_(mean.double() - shift.to(mean.device))
        else:
            if layer.bias is None:
                zeros = layer.weight.new_zeros(len(shift))
                layer.bias = nn.Parameter(zeros)
                with_bias.add(name)
            layer.bias.copy_(layer.bias.double() + shift.to(layer.bias.device))
    return with_bias


def _shift(layer: Any, reader: Reader, lost: torch.Tensor) -> torch.Tensor:
    """Return the sum of what the lost channels add to each output."""
    weight = layer.weight.detach().cpu().double()
    weight = weight.flatten(2).sum(2) if weight.ndim > 2 else weight
    value = (reader.channels.value * lost).view(reader.groups, 1, -1)
    rows = weight.view(reader.groups, -1, weight.shape[1])
    return (rows * value).sum(2).flatten()


def _merge_columns(layer: Any, reader: Reader, choice: Choice) -> None:
    """Write the merged column of each group into its carrier's place."""
    channels, weight = reader.channels, layer.weight.data
    keeps = choice.keeps(channels.ids)
    width = len(keeps) // reader.groups
    height = weight.shape[0] // reader.groups
    for group in range(reader.groups):
        part = slice(group * width, (group + 1) * width)
        value = channels.value[part]
        lost = value * ~keeps[part]
        if not lost.any():
            continue
        present = value * (keeps[part] & channels.const[part])
        carrier = int(present.abs().argmax())
        ratios = lost / present[carrier]
        ratios[carrier] = 1
        if layer.transposed:  # (C_in, C_out / groups, ...)
            columns = weight[part].transpose(0, 1)
        else:
            columns = weight[group * height : (group + 1) * height]
        exact = columns.double()
        shape = (1, -1, *[1] * (weight.ndim - 2))
        factors = ratios.to(weight.device).view(shape)
        columns[:, carrier] = (exact * factors).sum(1).to(weight.dtype)
