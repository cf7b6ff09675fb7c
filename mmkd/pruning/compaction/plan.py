"""What is cut where, as plain types that fit into a JSON file."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning.compaction.choose import Choice
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.modules import is_depthwise, submodule

Plan = dict[str, Any]
FORMAT = 1


def make_plan(
    network: nn.Module,
    choice: Choice,
    with_bias: set[str],
    residual: str = 'keep',
    divisor: int = 1,
) -> Plan:
    """Return the plan of ``choice``.

    Args:
        network: of full width.
        choice: of its channels.
        with_bias: paths of the layers that get a bias.
        residual: ``'keep'`` or ``'scatter'``.
        divisor: that of ``choice``, for the record.

    Returns:
        ``modules``: path -> what is kept (``keep_out``, ``keep_in``), sizes
        before and after, ``carriers``; ``scatter``: path of a batch norm ->
        what its input keeps; both see `apply_plan`. ``skipped``: path of a
        convolution -> zero filters that stay, and why.
    """
    modules: dict[str, dict[str, Any]] = {}
    graph = choice.graph
    for name, ids in {**graph.sources, **graph.followers}.items():
        _cut_outputs(network, modules, choice, name, ids)
    for name, ids in graph.padders.items():
        keeps = choice.keeps(ids)
        if not keeps.all():
            modules[name] = dict(new_channels=_sizes(keeps))
    for name, reader in graph.readers.items():
        keeps = choice.keeps(reader.channels.ids)
        if not keeps.all():
            entry = modules.setdefault(name, {})
            entry['in_channels'] = _sizes(keeps)
            entry['keep_in'] = _indices(keeps)
    for name in with_bias:
        layer = submodule(network, name)
        entry = modules.setdefault(name, {})
        entry['bias'] = True
        width = _width(layer)
        entry.setdefault('out_channels', [width, width])
    scatter: dict[str, dict[str, Any]] = {}
    if residual == 'scatter':
        _add_scatter(network, choice, modules, scatter)
    order = [name for name, _ in network.named_modules()]
    return dict(
        format=FORMAT,
        residual=residual,
        divisor=divisor,
        modules={name: modules[name] for name in order if name in modules},
        scatter=scatter,
        skipped=_skipped(network, choice, modules),
    )


def _cut_outputs(
    network: nn.Module,
    modules: dict[str, dict[str, Any]],
    choice: Choice,
    name: str,
    ids: torch.Tensor,
) -> None:
    keeps = choice.keeps(ids)
    if keeps.all():
        return
    layer = submodule(network, name)
    entry = modules.setdefault(name, {})
    entry['out_channels'] = _sizes(keeps)
    entry['keep_out'] = _indices(keeps)
    if name in choice.graph.sources:
        entry['carriers'] = choice.carriers(ids)
    if isinstance(layer, _ConvNd) and is_depthwise(layer):
        entry['in_channels'] = _sizes(keeps)
        entry['groups'] = _sizes(keeps)


def _add_scatter(
    network: nn.Module,
    choice: Choice,
    modules: dict[str, dict[str, Any]],
    scatter: dict[str, dict[str, Any]],
) -> None:
    """Cut zero filters that stay, where a batch norm alone reads them."""
    for name, norm in choice.graph.norm_of.items():
        conv = submodule(network, name)
        zero = zero_filters(conv)
        ids = choice.graph.sources.get(name)
        keeps = torch.ones_like(zero) if ids is None else choice.keeps(ids)
        if name in modules and modules[name].get('carriers'):
            continue
        if conv.groups > 1 or not (zero & keeps).any() or zero.all():
            continue
        if type(submodule(network, norm)) is nn.BatchNorm2d:
            entry = modules.setdefault(name, {})
            entry['out_channels'] = _sizes(keeps & ~zero)
            entry['keep_out'] = _indices(keeps & ~zero)
            entry['carriers'] = []
            scatter[norm] = dict(conv=name, keep=_indices(~zero[keeps]))


def _skipped(
    network: nn.Module, choice: Choice, modules: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    skipped = {}
    for name, conv in network.named_modules():
        if not isinstance(conv, _ConvNd):
            continue
        zero = zero_filters(conv)
        entry = modules.get(name, {})
        if 'keep_out' in entry:
            zero = zero[entry['keep_out']]
        left = int(zero.sum()) - len(entry.get('carriers', []))
        ids = choice.graph.sources.get(name)
        if ids is None:
            ids = choice.graph.followers.get(name)
        if left <= 0:
            continue
        reason = 'its output could not be followed'
        if ids is not None:
            reason = choice.reason(ids[zero_filters(conv)]) or 'kept'
        skipped[name] = dict(zero_filters=left, reason=reason)
    return skipped


def _width(layer: Any) -> int:
    width = getattr(layer, 'out_channels', None)
    return int(width if width is not None else layer.out_features)


def _sizes(keeps: torch.Tensor) -> list[int]:
    return [len(keeps), int(keeps.sum())]


def _indices(keeps: torch.Tensor) -> list[int]:
    return keeps.nonzero().flatten().tolist()
