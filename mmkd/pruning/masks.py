"""Which filters or weights are damped, and the damping itself.

Masks are uint8 tensors that broadcast to their weight: (C_out, 1, 1, 1) for
filters, the weight's shape for single weights. Their values are `KEPT`,
`SOFT` (damped, may recover) and `HARD` (zeroed, may not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from mmengine.dist import broadcast, get_world_size

from mmkd.pruning.compaction.coupled import (
    CoupledGroup,
    group_scores,
    spread_masks,
)
from mmkd.pruning.granularity import check_granularity
from mmkd.pruning.methods import MIN_ALPHA
from mmkd.pruning.scores import filter_scores, num_pruned, select_filters

KEPT, SOFT, HARD = 0, 1, 2


@torch.no_grad()
def filter_mask(
    scores: torch.Tensor, rate: float, hard_ratio: float = 0.0
) -> torch.Tensor:
    """Return the mask of the filters with the smallest scores.

    Args:
        scores: (C_out,), see `filter_scores`.
        rate: share of filters to prune, in [0, 1).
        hard_ratio: share of these that may not recover, in [0, 1].

    Returns:
        uint8 (C_out, 1, 1, 1).

    Raises:
        ValueError: ``scores`` is no vector, or a share is out of range.
    """
    _check_share('hard_ratio', hard_ratio)
    mask = torch.zeros(len(scores), dtype=torch.uint8, device=scores.device)
    mask[select_filters(scores, rate)] = SOFT
    if hard_ratio:
        mask[select_filters(scores, rate * hard_ratio)] = HARD
    return mask.view(-1, 1, 1, 1)


@torch.no_grad()
def weight_mask(
    weight: torch.Tensor, rate: float, hard_ratio: float = 0.0
) -> torch.Tensor:
    """Return the mask of the weights with the smallest magnitudes.

    Kept are those with |w| >= tau = sorted(|W|)[floor(L * rate + 1e-6)], L
    the number of weights; of equal magnitudes at the border all are kept.

    Args:
        weight: of any shape.
        rate: share of weights to prune, in [0, 1).
        hard_ratio: share of these that may not recover, in [0, 1].

    Returns:
        uint8, of the weight's shape.

    Raises:
        ValueError: ``weight`` is empty, or a share is out of range.
    """
    _check_share('hard_ratio', hard_ratio)
    magnitude = weight.detach().abs()
    flat = magnitude.flatten()
    if flat.dtype != torch.float64:
        flat = flat.float()
    mask = torch.zeros_like(magnitude, dtype=torch.uint8)
    for share, value in ((rate, SOFT), (rate * hard_ratio, HARD)):
        count = num_pruned(flat.numel(), share)
        if count:
            tau = flat.kthvalue(count + 1).values
            mask[magnitude < tau] = value
    return mask


@torch.no_grad()
def choose_masks(
    weights: Mapping[str, torch.Tensor],
    rates: Mapping[str, float],
    hard_ratio: float = 0.0,
    granularity: str = 'filter',
    p: float = 2,
    groups: Sequence[CoupledGroup] = (),
) -> dict[str, torch.Tensor]:
    """Return the mask of every weight; rank 0 decides for all.

    Filters are ranked on the CPU, all layers in one transfer.

    Args:
        weights: name of the layer -> weight of its convolution.
        rates: name -> share to prune.
        hard_ratio: share of the pruned that may not recover.
        granularity: ``'filter'`` or ``'weight'``.
        p: order of the filters' norm.
        groups: of all ``weights``; their layers, which have one rate, are
            masked alike. The masks of the batch norms are returned, too.

    Raises:
        KeyError: a layer has no rate.
        RuntimeError: a weight is not finite.
        ValueError: no weight, an unknown granularity, or a share out of
            range.
    """
    _check_choice(weights, rates, granularity)
    if granularity == 'weight':
        for name, weight in weights.items():
            _check_finite(name, weight)
        masks = {
            name: weight_mask(weight, rates[name], hard_ratio)
            for name, weight in weights.items()
        }
    else:
        scores = _all_scores(weights, p)
        if groups:
            masks = _coupled_masks(groups, scores, rates, hard_ratio)
        else:
            masks = {
                name: filter_mask(part, rates[name], hard_ratio)
                for name, part in scores.items()
            }
    first = next(iter(weights.values()))
    masks = _from_first_rank(masks, first.device)
    return {
        name: mask.to(weights.get(name, first).device)
        for name, mask in masks.items()
    }


def _check_choice(
    weights: Mapping[str, torch.Tensor],
    rates: Mapping[str, float],
    granularity: str,
) -> None:
    check_granularity(granularity)
    if not weights:
        raise ValueError('choose_masks: weights are empty; give some')
    missing = [name for name in weights if name not in rates]
    if missing:
        raise KeyError(
            f'choose_masks: rates lack {", ".join(missing)}; give a rate of '
            'every layer in weights'
        )


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(
            f'pruning: {name}={value} must be in [0, 1]; it is a share'
        )


def _all_scores(
    weights: Mapping[str, torch.Tensor], p: float
) -> dict[str, torch.Tensor]:
    scores = [filter_scores(weight, p) for weight in weights.values()]
    together = torch.cat(scores).cpu()
    parts = dict(
        zip(weights, together.split([len(s) for s in scores]), strict=True)
    )
    if not torch.isfinite(together).all():
        for name, part in parts.items():
            _check_finite(name, part)
    return parts


def _coupled_masks(
    groups: Sequence[CoupledGroup],
    scores: Mapping[str, torch.Tensor],
    rates: Mapping[str, float],
    hard_ratio: float,
) -> dict[str, torch.Tensor]:
    masks = [
        filter_mask(
            group_scores(group, scores),
            rates[next(iter(group.convs))],
            hard_ratio,
        )
        for group in groups
    ]
    return {
        name: mask.view(-1, 1, 1, 1) if name in scores else mask
        for name, mask in spread_masks(groups, masks).items()
    }


def _check_finite(name: str, values: torch.Tensor) -> None:
    if not torch.isfinite(values).all():
        raise RuntimeError(
            f'pruning: the weights of {name} are not finite, so its filters '
            'cannot be ranked: the training has diverged; lower the learning '
            'rate or clip gradients (optim_wrapper.clip_grad)'
        )


def _from_first_rank(
    masks: dict[str, torch.Tensor], device: torch.device
) -> dict[str, torch.Tensor]:
    """Return the masks of rank 0 on ``device``, moved in one piece."""
    if get_world_size() == 1 and all(
        m.device == device for m in masks.values()
    ):
        return masks
    together = torch.cat([mask.flatten() for mask in masks.values()])
    together = together.to(device)
    if get_world_size() > 1:
        broadcast(together, src=0)
    parts = together.split([mask.numel() for mask in masks.values()])
    return {
        name: part.view_as(masks[name])
        for name, part in zip(masks, parts, strict=True)
    }


@torch.no_grad()
def damp(
    weight: torch.Tensor, mask: torch.Tensor, alpha: float, exact: bool = False
) -> None:
    """Multiply ``weight`` in place by 1, alpha or 0 as ``mask`` says.

    Args:
        weight: its storage stays where it is.
        mask: uint8; broadcasts to ``weight``.
        alpha: factor of `SOFT` ones.
        exact: take an alpha below `MIN_ALPHA` as it is, not as 0.

    Raises:
        ValueError: ``alpha`` is not in [0, 1], or ``mask`` is none.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(
            f'damp: alpha={alpha} must be in [0, 1]; 1 changes nothing, 0 '
            'zeroes'
        )
    sizes = zip(mask.shape[::-1], weight.shape[::-1], strict=False)
    fits = all(size in (1, own) for size, own in sizes)
    if mask.ndim > weight.ndim or not fits or mask.dtype != torch.uint8:
        raise ValueError(
            f'damp: mask {tuple(mask.shape)} of {mask.dtype} is none for '
            f'weight {tuple(weight.shape)}; give the uint8 mask of '
            'choose_masks, which broadcasts to its weight'
        )
    if alpha < MIN_ALPHA and not exact:
        alpha = 0.0
    weight.mul_(_factors(alpha, weight.dtype, weight.device)[mask.long()])


@lru_cache(maxsize=8)
def _factors(
    alpha: float, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    return torch.tensor([1.0, alpha, 0.0], dtype=dtype, device=device)
