"""Masks that agree wherever channels are added: our extension.

Independent masks of the layers that add to one residual stream almost never
agree, so that their zero filters stay. Coupled masks choose the same
channels for all of them, and every zero filter can be removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.pruning.compaction.compactor import channel_graph
from mmkd.pruning.compaction.constants import filter_norms
from mmkd.pruning.compaction.forward import (
    all_parts,
    as_images,
    choose_forward,
)
from mmkd.pruning.compaction.graph import ChannelGraph
from mmkd.pruning.compaction.modules import submodule
from mmkd.pruning.scores import select_filters
from mmkd.utils.modes import evaluating


@dataclass(frozen=True)
class CoupledGroup:
    """Channels that the same layers make and hand on.

    Args:
        convs: convolution -> position in the group of each of its output
            channels; -1 for those of other groups.
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
    in no group, see `reasons_without_group`.

    Args:
        model: a network, or a distiller, whose student or peers are meant.
        inputs: (N, C, H, W), or (C, H, W), on which it is followed.

    Raises:
        ValueError: a network does not run on these inputs.
    """
    return groups_of(follow_channels(model, inputs), model)


def follow_channels(
    model: nn.Module, inputs: Tensor | Sequence[int]
) -> ChannelGraph:
    """Return the channels of the networks in ``model``, in eval mode.

    Args and errors as in `coupled_groups`.
    """
    inputs = as_images(model, inputs)
    networks = list(getattr(model, 'trained', [model]))

    def run(_: nn.Module, images: Tensor) -> list[Any]:
        return [
            all_parts(network, images, forward)
            for network, forward in zip(networks, forwards, strict=True)
        ]

    with evaluating(model):
        forwards = [choose_forward(one, inputs)[0] for one in networks]
        if networks == [model]:
            return channel_graph(model, inputs, forwards[0])
        return channel_graph(model, inputs, run)


def groups_of(graph: ChannelGraph, model: nn.Module) -> list[CoupledGroup]:
    """Return the groups of ``graph``: channels of the same convolutions."""
    roots = graph.roots()
    free = ~_fixed(graph, roots)
    makers: dict[int, list[str]] = {}
    for name, ids in graph.sources.items():
        for root in roots[ids[free[roots[ids]]]].unique().tolist():
            makers.setdefault(root, []).append(name)
    members: dict[tuple[str, ...], list[int]] = {}
    for root, names in makers.items():
        members.setdefault(tuple(names), []).append(root)
    norms = {
        name: ids
        for name, ids in graph.followers.items()
        if isinstance(submodule(model, name), _BatchNorm)
    }
    groups = []
    for makers_of, channels in members.items():
        position = torch.full((graph.size + 1,), -1)
        position[channels] = torch.arange(len(channels))

        def where(ids: Tensor, position: Tensor = position) -> Tensor:
            return torch.where(ids < 0, -1, position[roots[ids]])

        convs = {name: where(graph.sources[name]) for name in makers_of}
        behind = {name: where(ids) for name, ids in norms.items()}
        behind = {k: v for k, v in behind.items() if (v >= 0).any()}
        groups.append(CoupledGroup(convs, behind, len(channels)))
    return groups


def reasons_without_group(
    graph: ChannelGraph, names: Iterable[str]
) -> dict[str, str]:
    """Return which convolutions have channels in no group, and why.

    Args:
        graph: of `follow_channels`.
        names: convolutions to look at.
    """
    roots = graph.roots()
    fixed = _fixed(graph, roots)
    why: dict[int, str] = {}
    for ids, reason in graph.blocked:
        for root in roots[ids].tolist():
            why.setdefault(root, reason)
    reasons = {}
    for name in names:
        own = graph.sources.get(name)
        if own is None:
            reasons[name] = 'its output could not be followed'
        elif fixed[roots[own]].any():
            root = int(roots[own][fixed[roots[own]]][0])
            reasons[name] = why.get(root, 'no layer that reads it found')
    return reasons


def _fixed(graph: ChannelGraph, roots: Tensor) -> Tensor:
    """Return which roots are never removed: blocked, or read by nothing."""
    fixed = torch.ones(graph.size, dtype=torch.bool)
    for reader in graph.readers.values():
        ids = reader.channels.ids
        fixed[roots[ids[ids >= 0]]] = False
    for ids, _ in graph.blocked:
        fixed[roots[ids]] = True
    return fixed


def group_scores(group: CoupledGroup, norms: Mapping[str, Tensor]) -> Tensor:
    """Return the sum over the convolutions of their squared filter norms.

    Args:
        group: with C channels.
        norms: convolution -> (C_out,).

    Returns:
        (C,) float64.
    """
    scores = torch.zeros(group.size, dtype=torch.float64)
    for name, where in group.convs.items():
        own = where >= 0
        squares = norms[name].cpu().double().square()
        scores.index_add_(0, where[own], squares[own])
    return scores


def spread_masks(
    groups: Sequence[CoupledGroup], masks: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Return the mask of every convolution and batch norm of the groups.

    Args:
        groups: of `coupled_groups`.
        masks: of each group; C values.

    Returns:
        Path -> (C_out,) of the type of the masks; 0 for other channels.
    """
    found: dict[str, Tensor] = {}
    for group, mask in zip(groups, masks, strict=True):
        for name, where in {**group.convs, **group.norms}.items():
            own = where >= 0
            zeros = torch.zeros(len(where), dtype=mask.dtype)
            whole = found.setdefault(name, zeros)
            whole[own] = mask.flatten()[where[own]]
    return found


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
    masks = []
    for group in groups:
        norms = {k: filter_norms(submodule(model, k)) for k in group.convs}
        mask = torch.zeros(group.size, dtype=torch.bool)
        mask[select_filters(group_scores(group, norms), rate)] = True
        masks.append(mask)
    for name, mask in spread_masks(groups, masks).items():
        layer = submodule(model, name)
        weight = layer.weight
        if weight is not None:
            transposed = getattr(layer, 'transposed', False)
            (weight.transpose(0, 1) if transposed else weight)[mask] = 0
        if layer.bias is not None:
            layer.bias[mask] = 0
