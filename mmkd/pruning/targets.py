"""Which convolutions of a model are pruned, and at which rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.pruning.granularity import check_granularity, num_units
from mmkd.pruning.scores import check_rate

# the convolutions of every network called "backbone", at any depth
DEFAULT_INCLUDE = (r'(^|\.)backbone\.',)
DEFAULT_EXCLUDE = ('downsample', 'shortcut')


@dataclass(frozen=True)
class Target:
    """A convolution that is pruned.

    Args:
        name: path of the module inside the model.
        weight: (C_out, C_in / groups, kH, kW).
        rate: final pruning rate.
    """

    name: str
    weight: torch.Tensor
    rate: float


def find_targets(
    model: nn.Module,
    pruning_rate: float,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = DEFAULT_EXCLUDE,
    layer_rates: Mapping[str, float] | None = None,
    granularity: str = 'filter',
) -> list[Target]:
    """Return what is pruned, in the order of the model's modules.

    By default: every ``nn.Conv2d`` with one group inside a module called
    ``backbone``, wherever it is, so also that of ``student`` or of the peers
    of a cohort. Frozen convolutions never count, and a layer that several
    networks share counts once.

    Args:
        model: not wrapped.
        pruning_rate: final rate of all layers, in [0, 1).
        include: regular expressions, one of which must be found in the
            module's path. None stands for the rule above.
        exclude: regular expressions of paths to leave out.
        layer_rates: regular expression -> other final rate; the first one
            that is found in the path counts.
        granularity: see `choose_masks`. Only single weights can be pruned
            in convolutions of several groups.

    Raises:
        ValueError: nothing is left, a pattern of ``layer_rates`` fits no
            target, a rate is out of range, the granularity is unknown, or
            ``include`` names a convolution with several groups.
    """
    check_granularity(granularity)
    include, exclude = as_patterns(include), as_patterns(exclude) or []
    rates = dict(layer_rates or {})
    for rate in (pruning_rate, *rates.values()):
        check_rate(rate)
    patterns = DEFAULT_INCLUDE if include is None else tuple(include)
    convs = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    targets: list[Target] = []
    frozen = 0
    for name, conv in convs.items():
        if not _fits(name, patterns) or _fits(name, exclude):
            continue
        if not conv.weight.requires_grad:
            frozen += 1
            continue
        if conv.groups > 1:
            if include is None:
                continue
            _refuse_groups(name, conv, granularity)
        if any(target.weight is conv.weight for target in targets):
            continue
        rate = next(
            (rates[key] for key in rates if re.search(key, name)), pruning_rate
        )
        targets.append(Target(name, conv.weight, rate))
    if not targets:
        raise ValueError(
            f'pruning: none of {len(convs)} convolutions ({frozen} of those '
            f'that fit are frozen) is a target with include={list(patterns)} '
            f'and exclude={list(exclude)}; give patterns of their paths'
            + (f', e.g. of {", ".join(list(convs)[:3])}' if convs else '')
        )
    for key in rates:
        if not any(re.search(key, target.name) for target in targets):
            raise ValueError(
                f'pruning: layer_rates has {key!r}, which is found in none '
                f'of {len(targets)} layers such as {targets[0].name}; '
                'correct the pattern'
            )
    return targets


def as_patterns(given: Sequence[str] | None) -> list[str] | None:
    """Return patterns as a list; a config may give a single one alone.

    Raises:
        TypeError: they are something else.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return [given]
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f'pruning: include or exclude is {given!r}: give a regular '
            'expression, or a list of those'
        )
    return list(given)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


def _refuse_groups(name: str, conv: nn.Conv2d, granularity: str) -> None:
    if granularity == 'filter':
        raise ValueError(
            f'pruning: {name} has {conv.groups} groups, and a zero filter '
            'of it would silence a channel of the layers beside it; add '
            f"exclude=[r'{re.escape(name)}'], or leave `include` out"
        )


def find_norm(model: nn.Module, name: str) -> _BatchNorm:
    """Return the batch norm that follows the convolution ``name``.

    It is the sibling named alike (``conv1`` and ``bn1`` or ``norm1``), else
    the next sibling.

    Raises:
        ValueError: there is none of the right width, or no convolution.
    """
    parent_name, _, own = name.rpartition('.')
    try:
        parent = model.get_submodule(parent_name)
    except AttributeError:
        parent = nn.Module()  # there is no such path
    siblings = dict(parent.named_children())
    if not hasattr(siblings.get(own), 'out_channels'):
        raise ValueError(
            f'pruning: "{name}" is no convolution of the model; give the path '
            'of one, see find_targets'
        )
    names = list(siblings)
    candidates = [own.replace('conv', kind) for kind in ('bn', 'norm')]
    candidates += names[names.index(own) + 1 :][:1]
    width = siblings[own].out_channels
    for candidate in candidates:
        norm = siblings.get(candidate)
        if isinstance(norm, _BatchNorm) and norm.num_features == width:
            return norm
    raise ValueError(
        f'pruning: mask_bn=True, but {name} has no batch norm of {width} '
        f'channels beside it, only {", ".join(names)}; exclude the layer, or '
        'set mask_bn=False'
    )


def zero_counts(
    targets: Sequence[Target], granularity: str = 'filter'
) -> list[tuple[int, int]]:
    """Return (zeros, all) of every target, counted in its weight.

    Raises:
        ValueError: no target, or the granularity is unknown.
    """
    check_granularity(granularity)
    if not targets:
        raise ValueError('zero_counts: no target; see find_targets')
    zeros = []
    for target in targets:
        zero = target.weight.detach() == 0
        if granularity == 'filter':
            zero = zero.flatten(1).all(1)
        zeros.append(zero.sum())
    counts = torch.stack(zeros).tolist()  # one transfer
    return [
        (count, num_units(target.weight, granularity))
        for count, target in zip(counts, targets, strict=True)
    ]
