"""How important a filter is, and how many are pruned."""

from __future__ import annotations

import math

import torch


def filter_scores(weight: torch.Tensor, p: float = 2) -> torch.Tensor:
    """Return ||W_j||_p of every filter j.

    Args:
        weight: (C_out, C_in / groups, kH, kW) of a convolution.
        p: 2, or another order of the norm, > 0.

    Returns:
        (C_out,), float64 for float64 weights, else float32.

    Raises:
        ValueError: ``weight`` has no filters, or ``p`` is not positive.
    """
    if weight.ndim < 2 or not weight.numel():
        raise ValueError(
            f'filter_scores: weight is {tuple(weight.shape)}; give the weight '
            '(C_out, C_in / groups, kH, kW) of a convolution'
        )
    check_norm(p)
    flat = weight.detach().flatten(1)
    if flat.dtype != torch.float64:
        flat = flat.float()
    return torch.linalg.vector_norm(flat, ord=p, dim=1)


def check_norm(norm: float) -> None:
    """Refuse what is no order of a norm.

    Raises:
        ValueError: it is no positive number.
    """
    if isinstance(norm, str) or not norm > 0:
        raise ValueError(
            f'pruning: norm={norm!r} must be a positive number; use norm=2'
        )


def num_pruned(count: int, rate: float) -> int:
    """Return floor(count * rate + 1e-6), at most ``count - 1``.

    The small number keeps e.g. 0.3 of 10 from becoming 2; public code loses
    one filter there for some widths.

    Raises:
        ValueError: ``count`` is not positive, ``rate`` not in [0, 1).
    """
    if count < 1:
        raise ValueError(
            f'num_pruned: count={count} must be at least 1; give the number '
            'of filters or weights of a layer'
        )
    check_rate(rate)
    return min(math.floor(count * rate + 1e-6), count - 1)


def check_rate(rate: float) -> None:
    """Refuse what is no pruning rate.

    Raises:
        ValueError: it is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(
            f'pruning_rate must be in [0, 1), but is {rate}: a rate of 1 '
            'would leave a layer empty; give e.g. pruning_rate=0.3'
        )


def select_filters(scores: torch.Tensor, rate: float) -> torch.Tensor:
    """Return the sorted indices of the ``num_pruned`` smallest scores.

    Of equal scores the lower index goes first.

    Args:
        scores: (C_out,), see `filter_scores`.
        rate: share to prune, in [0, 1).

    Raises:
        ValueError: ``scores`` is no vector, or ``rate`` is out of range.
    """
    if scores.ndim != 1:
        raise ValueError(
            f'select_filters: scores are {tuple(scores.shape)}, expected '
            '(C_out,), one per filter; of a weight call '
            'select_filters(filter_scores(weight), rate)'
        )
    order = torch.argsort(scores, stable=True)
    return order[: num_pruned(len(scores), rate)].sort().values
