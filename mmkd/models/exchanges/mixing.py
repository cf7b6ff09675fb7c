"""Sums over peers, for tensors and for lists of maps alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmkd.models.exchanges.transfer import Tensors, mean_of
from mmkd.models.losses.precision import at_least_float32


def mix(tensors: Sequence[Tensors], weights: torch.Tensor) -> Tensors:
    """Return the weighted sum of the tensors of all peers.

    Args:
        tensors: M tensors (N, ...), or M lists of such maps.
        weights: (N, M) per sample, or (M,) for all.

    Returns:
        (N, ...), or a list of maps.
    """
    if not isinstance(tensors[0], torch.Tensor):
        levels = zip(*tensors, strict=True)
        return [mix(level, weights) for level in levels]  # type: ignore[misc]
    stacked = torch.stack(list(tensors), 1)  # type: ignore[arg-type]
    rows = weights.reshape(-1, len(tensors)).to(stacked.device)
    rows = rows.reshape(*rows.shape, *[1] * (stacked.ndim - 2))
    return (at_least_float32(stacked) * rows).sum(1)


def leave_one_out_means(tensors: Sequence[Tensors]) -> list[Tensors]:
    """Return, for every peer, the mean over all others."""
    peers = range(len(tensors))
    return [mean_of([tensors[j] for j in peers if j != i]) for i in peers]


def pooled(feats: torch.Tensor) -> torch.Tensor:
    """Return the mean over positions of (N, C, ...): (N, C)."""
    return feats if feats.ndim == 2 else feats.flatten(2).mean(2)
