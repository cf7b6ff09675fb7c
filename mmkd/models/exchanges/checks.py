"""What exchanges demand of a cohort, with messages that say what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.transfer import CohortSpec, Peers, Tensors


def check_cohort(
    exchange: Exchange, spec: CohortSpec, min_peers: int = 2
) -> None:
    """Check the number of peers and, where known, that classes agree.

    Raises:
        ValueError: too few peers, or they predict different classes.
    """
    owner = type(exchange).__name__
    if spec.num_peers < min_peers:
        raise ValueError(
            f'{owner} needs at least {min_peers} peers, the cohort has '
            f'{spec.num_peers}; list more in cohort.peers'
        )
    seen = [shapes.get(exchange.main_role) for shapes in spec.shapes]
    _check_equal(owner, exchange.main_role, [s for s in seen if s is not None])


def check_roles(exchange: Exchange, *roles: str) -> None:
    """Check that ``on`` names exactly these roles.

    Raises:
        ValueError: lists the missing and the unknown ones.
    """
    if set(exchange.on) != set(roles):
        wanted = ', '.join(f"{role}='...'" for role in roles)
        raise ValueError(
            f'{type(exchange).__name__}: on={exchange.on} must name the '
            f'tensors {", ".join(roles)}; write on=dict({wanted}) with names '
            'of taps or auxiliary heads'
        )


def same_channels(
    exchange: Exchange, channels: Sequence[int], role: str
) -> int:
    """Return the number of channels that all peers share.

    Raises:
        ValueError: they differ.
    """
    if len(set(channels)) > 1:
        raise ValueError(
            f'{type(exchange).__name__}: "{exchange.on[role]}" has '
            f'{_joined(sorted(set(channels)))} channels; all peers need '
            'equally many: tap layers of equal width, or put an auxiliary '
            'head (aux_heads) with a common width in between'
        )
    return channels[0]


def require_maps(
    exchange: Exchange, shapes: Mapping[str, Any], role: str
) -> None:
    """Check that a peer gives one map (N, C, H, W) as ``role``, if seen.

    Raises:
        ValueError: it gives something else.
    """
    shape = shapes.get(role)
    if shape is None or (isinstance(shape, torch.Size) and len(shape) == 4):
        return
    found = tuple(shape) if isinstance(shape, torch.Size) else 'several maps'
    raise ValueError(
        f'{type(exchange).__name__}: "{exchange.on[role]}" (on.{role}) is '
        f'{found}, not one map (N, C, H, W); tap the last map before it is '
        "pooled, as 'backbone' (with out_indices of the last stage alone) or "
        "'backbone.layer4'"
    )


def logits_of(exchange: Exchange, peers: Peers) -> list[Tensors]:
    """Return the logits of all peers, which must have the same shapes.

    Raises:
        ValueError: they differ.
    """
    logits = [peer[exchange.main_role] for peer in peers]
    shapes = [
        value.shape
        if isinstance(value, torch.Tensor)
        else [level.shape for level in value]
        for value in logits
    ]
    _check_equal(type(exchange).__name__, exchange.main_role, shapes)
    return logits


def _check_equal(owner: str, role: str, shapes: Sequence[Any]) -> None:
    """Compare shapes (torch.Size, or lists of them) of all peers."""
    levels = [
        [shape] if isinstance(shape, torch.Size) else list(shape)
        for shape in shapes
    ]
    if len({tuple(level) for level in levels}) < 2:
        return
    classes = {tuple(s[1] for s in level if len(s) > 1) for level in levels}
    if len(classes) > 1 and all(len(level) == 1 for level in levels):
        found = _joined(sorted(c for (c,) in classes))
        raise ValueError(
            f'{owner}: all peers must predict the same classes; got {found} '
            f'({role}); set the same num_classes in all networks'
        )
    found = ' and '.join(str([tuple(s) for s in level]) for level in levels)
    raise ValueError(
        f'{owner}: the shapes of "{role}" differ between the peers: {found}; '
        'nothing is interpolated silently: tap tensors of the same stride'
    )


def _joined(values: Sequence[int]) -> str:
    return ' and '.join(map(str, values))
