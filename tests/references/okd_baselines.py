"""Online distillation, formula by formula: the yardstick of tests.

Everything is a loop over peers and samples, with logits (N, K).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

Logits = Sequence[torch.Tensor]


def kd(
    learner: torch.Tensor, target: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 / N sum_n sum_c q_nc (log q_nc - log p_nc); nothing is detached."""
    total = learner.new_zeros(())
    for z, t in zip(learner, target, strict=True):
        p, q = (z / temperature).softmax(0), (t / temperature).softmax(0)
        for c in range(len(z)):
            total = total + q[c] * (q[c].log() - p[c].log())
    return temperature**2 * total / len(learner)


def ramp(epoch: float, length: int) -> float:
    """exp(-5 (1 - clip(e, 0, R) / R)^2)."""
    clipped = min(max(epoch, 0), length)
    return math.exp(-5 * (1 - clipped / length) ** 2)


def mean_of_others(logits: Logits, i: int) -> torch.Tensor:
    """Mean of z_j over j != i."""
    total = torch.zeros_like(logits[0])
    for j, z in enumerate(logits):
        if j != i:
            total = total + z
    return total / (len(logits) - 1)


def mutual(logits: Logits, temperature: float) -> list[torch.Tensor]:
    """DML: KD term of every peer, targets detached."""
    terms = []
    for i, z in enumerate(logits):
        term = z.new_zeros(())
        for j, other in enumerate(logits):
            if j != i:
                term = term + kd(z, other.detach(), temperature)
        terms.append(term / (len(logits) - 1))
    return terms


def gated(weights: torch.Tensor, logits: Logits) -> torch.Tensor:
    """ONE: z_E[n] = sum_i g[n, i] z_i[n]."""
    rows = []
    for n in range(len(weights)):
        row = torch.zeros_like(logits[0][n])
        for i, z in enumerate(logits):
            row = row + weights[n, i] * z[n]
        rows.append(row)
    return torch.stack(rows)


def attention(
    feats: Sequence[torch.Tensor], query: torch.Tensor, key: torch.Tensor
) -> torch.Tensor:
    """OKDDip: A[n, a, c] of features (N, D) and weights (D / r, D)."""
    num_samples, num_peers = len(feats[0]), len(feats)
    result = feats[0].new_zeros(num_samples, num_peers, num_peers)
    for n in range(num_samples):
        for a in range(num_peers):
            scores = [
                (query @ feats[a][n]) @ (key @ feats[c][n])
                for c in range(num_peers)
            ]
            result[n, a] = torch.stack(scores).softmax(0)
    return result


def naive(logits: Logits, labels: torch.Tensor) -> torch.Tensor:
    """KDCL: every sample's logits of the peer with the smallest CE."""
    rows = []
    for n, y in enumerate(labels):
        entropies = [-z[n].log_softmax(0)[y].item() for z in logits]
        rows.append(logits[entropies.index(min(entropies))][n])
    return torch.stack(rows)


def min_logit(logits: Logits, labels: torch.Tensor) -> torch.Tensor:
    """KDCL: min_m (z_mc - z_my)."""
    result = torch.zeros_like(logits[0])
    for n, y in enumerate(labels):
        for c in range(result.shape[1]):
            result[n, c] = min(z[n, c] - z[n, y] for z in logits)
    return result


def simplex_grid(num_peers: int, steps: int) -> Iterator[list[float]]:
    """All weights that are multiples of 1 / steps and sum to 1."""

    def split(total: int, parts: int) -> Iterator[list[int]]:
        if parts == 1:
            yield [total]
            return
        for first in range(total + 1):
            for rest in split(total - first, parts - 1):
                yield [first, *rest]

    for counts in split(steps, num_peers):
        yield [count / steps for count in counts]


def best_on_grid(
    logits: Sequence[torch.Tensor], label: int, steps: int = 40
) -> float:
    """KDCL, linear: smallest CE of a convex combination, one sample.

    Args:
        logits: per peer (K,).
        label: the true class.
        steps: resolution of the grid of weights.
    """
    stacked = torch.stack(list(logits))
    grid = torch.tensor(
        list(simplex_grid(len(logits), steps)), dtype=stacked.dtype
    )
    return float((-(grid @ stacked).log_softmax(1)[:, label]).min())


def error_covariance(
    probabilities: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """KDCL, general: C_ij of probabilities (M, N, K)."""
    num_peers, num_samples, _ = probabilities.shape
    result = probabilities.new_zeros(num_peers, num_peers)
    errors = probabilities.clone()
    for n, y in enumerate(labels):
        errors[:, n, y] -= 1
    for i in range(num_peers):
        for j in range(num_peers):
            for n in range(num_samples):
                result[i, j] += errors[i, n] @ errors[j, n] / num_samples
    return result
