"""Masks that agree wherever channels are added: our extension.

Independent masks of the layers that add to one residual stream almost never
agree, so that their zero filters stay. Coupled masks choose the same
channels for all of them, and every zero filter can be removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.pruning.compaction.compactor import channel_graph
from mmkd.pruning.compaction.forward import choose_forward, example_inputs
from mmkd.pruning.compaction.modules import submodule
from mmkd.pruning.scores import num_pruned


@dataclass(frozen=True)
class CoupledGroup:
    """Layers whose channels are the same channels.

    Args:
        convs: convolution -> position in the group of each output channel.
        norms: batch norm -> the same.
        size: number of channels of the group.
    """

    convs: dict[str, Tensor]
    norms: dict[str, Tensor]
    size: int


def coupled_groups(
    model: nn.Module, inputs: Tensor | Sequence[int] = (3, 224, 224)
) -> list[CoupledGroup]:
    """Return which convolutions must agree; alone ones are groups too.

    Channels that the network gives away, or that could not be followed, are
    in no group.

    Args:
        model: in eval mode.
        inputs: (N, C, H, W), or (C, H, W), on which it is followed.
    """
    if not isinstance(inputs, Tensor):
        inputs = example_inputs(model, (1, *inputs))
    forward, _ = choose_forward(model, inputs)
    graph = channel_graph(model, inputs, forward)
    roots = graph.roots()
    fixed = torch.zeros(graph.size, dtype=torch.bool)
    for ids, _ in graph.blocked:
        fixed[roots[ids]] = True
    members: dict[tuple[int, ...], list[str]] = {}
    for name, ids in graph.sources.items():
        own = roots[ids]
        if not fixed[own].any():
            members.setdefault(tuple(own.unique().tolist()), []).append(name)
    groups = []
    for key, convs in members.items():
        channels = torch.tensor(key)
        norms = {
            name: torch.searchsorted(channels, roots[ids])
            for name, ids in graph.followers.items()
            if (ids >= 0).all()
            and isinstance(submodule(model, name), _BatchNorm)
            and torch.isin(roots[ids], channels).all()
        }
        where = {
            name: torch.searchsorted(channels, roots[graph.sources[name]])
            for name in convs
        }
        groups.append(CoupledGroup(where, norms, len(key)))
    return groups


@torch.no_grad()
def mask_coupled(
    model: nn.Module, groups: Sequence[CoupledGroup], rate: float
) -> None:
    """Zero the ``rate`` weakest channels of each group, norms included.

    score_j = sum over the convolutions of the group of ||W[j]||_2^2

    Batch norms lose scale and shift of these channels (``mask_bn``), so that
    nothing is left of them.

    Args:
        model: changed in place.
        groups: of `coupled_groups`.
        rate: share of channels, in [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(
            f'rate={rate} must be at least 0 and less than 1: set '
            '`pruning_rate`'
        )
    for group in groups:
        scores = torch.zeros(group.size, dtype=torch.float64)
        for name, where in group.convs.items():
            weight = _rows(submodule(model, name))
            squares = weight.cpu().double().flatten(1).square().sum(1)
            scores.index_add_(0, where, squares)
        weakest = scores.argsort(stable=True)
        pruned = torch.zeros(group.size, dtype=torch.bool)
        pruned[weakest[: num_pruned(group.size, rate)]] = True
        for name, where in group.convs.items():
            conv = submodule(model, name)
            _rows(conv)[pruned[where]] = 0
            if conv.bias is not None:
                conv.bias.data[pruned[where]] = 0
        for name, where in group.norms.items():
            norm = submodule(model, name)
            for parameter in (norm.weight, norm.bias):
                if parameter is not None:
                    parameter.data[pruned[where]] = 0


def _rows(conv: Any) -> Tensor:
    """Return the weight with output channels first, as a view."""
    weight: Tensor = conv.weight.data
    return weight.transpose(0, 1) if conv.transposed else weight
