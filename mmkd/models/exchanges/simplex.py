"""Convex combinations of logits that fit the labels best."""

from __future__ import annotations

import torch

STEPS = 40
_DECAY = 0.6  # of the barrier per Newton step
_LEAST = 1e-9  # of the barrier: settles what the objective leaves open
_LENGTHS = 0.99 * 0.25 ** torch.arange(5, dtype=torch.float64)


@torch.no_grad()
def simplex_weights(margins: torch.Tensor) -> torch.Tensor:
    """Minimise the cross entropy of a convex combination, row by row.

    min_a log sum_c exp(sum_m a_m D_mc) with a >= 0, sum_m a_m = 1, for all
    rows at once, by a barrier method (Boyd and Vandenberghe, Convex
    Optimization, 11.3): Newton steps, each an M x M system per row, on the
    objective minus barrier * sum_m log a_m, while the barrier fades. Of
    several step lengths the best is taken. Computed in float64.

    Args:
        margins: D (P, M, K), logits minus that of the true class.

    Returns:
        a (P, M), float64; no worse than the best single one of M.
    """
    margins = margins.double()
    num_rows, num_peers, _ = margins.shape
    ones = margins.new_ones(num_rows, num_peers)
    weights = ones / num_peers
    gradient, _ = _derivatives(margins, weights)
    barrier = (gradient.amax(1) - gradient.amin(1)).clamp(min=_LEAST)
    for _ in range(STEPS):
        gradient, hessian = _derivatives(margins, weights)
        curvature = hessian + torch.diag_embed(
            barrier[:, None] / weights**2 + 1e-12
        )
        slope = gradient - barrier[:, None] / weights
        newton, along = torch.linalg.solve_ex(
            curvature, torch.stack([slope, ones], 2)
        )[0].unbind(2)
        shift = newton.sum(1, keepdim=True) / along.sum(1, keepdim=True)
        weights = _search(margins, weights, shift * along - newton, barrier)
        barrier = (_DECAY * barrier).clamp(min=_LEAST)
    return _or_vertex(margins, weights)


def _derivatives(
    margins: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient (P, M) and the Hessian (P, M, M)."""
    mixed = (weights[:, :, None] * margins).sum(1)
    weighted = margins * mixed.softmax(1)[:, None]
    gradient = weighted.sum(2)
    outer = gradient[:, :, None] * gradient[:, None]
    return gradient, weighted @ margins.transpose(1, 2) - outer


def _search(
    margins: torch.Tensor,
    weights: torch.Tensor,
    step: torch.Tensor,
    barrier: torch.Tensor,
) -> torch.Tensor:
    """Go along ``step`` (P, M), but stay inside and do not get worse."""
    inside = torch.where(step < 0, -weights / step, torch.inf).amin(1)
    lengths = _LENGTHS.to(step.device)[:, None] * inside.clamp(max=1 / 0.99)
    lengths = torch.cat([lengths, torch.zeros_like(lengths[:1])])
    trial = weights + lengths[:, :, None] * step  # (lengths, P, M)
    mixed = (trial.transpose(0, 1) @ margins).transpose(0, 1)
    value = mixed.logsumexp(2) - barrier * trial.log().sum(2)
    best = value.nan_to_num(torch.inf).argmin(0)
    found = trial[best, torch.arange(len(weights), device=best.device)]
    return found / found.sum(1, keepdim=True)


def _or_vertex(margins: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Replace weights that are worse than the best vertex by it."""
    single, best = margins.logsumexp(2).min(1, keepdim=True)
    mixed = (weights[:, :, None] * margins).sum(1)
    found = mixed.logsumexp(1, keepdim=True)
    vertex = torch.zeros_like(weights).scatter_(1, best, 1.0)
    return torch.where(found <= single + _LEAST, weights, vertex)
