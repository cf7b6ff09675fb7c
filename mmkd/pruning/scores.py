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
    """
    flat = weight.detach().flatten(1)
    if flat.dtype != torch.float64:
        flat = flat.float()
    return torch.linalg.vector_norm(flat, ord=p, dim=1)


def num_pruned(count: int, rate: float) -> int:
    """Return floor(count * rate + 1e-6), at most ``count - 1``.

    The small number keeps e.g. 0.3 of 10 from becoming 2; public code loses
    one filter there for some widths.
    """
    return min(math.floor(count * rate + 1e-6), count - 1)


def select_filters(scores: torch.Tensor, rate: float) -> torch.Tensor:
    """Return the sorted indices of the ``num_pruned`` smallest scores.

    Of equal scores the lower index goes first.

    Args:
        scores: (C_out,).
        rate: share to prune, in [0, 1).
    """
    order = torch.argsort(scores, stable=True)
    return order[: num_pruned(len(scores), rate)].sort().values
