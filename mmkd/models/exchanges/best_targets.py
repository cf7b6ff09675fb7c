"""Targets that are better than any peer, by rules that know the labels."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.exchanges.simplex import simplex_weights

# logits (M, P, K) and labels (P,) to the target (P, K)


def naive_target(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the logits of the peer with the smallest cross entropy.

    Of equally good peers the first is taken.
    """
    entropy = functional.cross_entropy(
        logits.flatten(0, 1), labels.repeat(len(logits)), reduction='none'
    )
    best = entropy.view(len(logits), -1).argmin(0)
    return logits[best, torch.arange(len(labels), device=labels.device)]


def min_logit_target(
    logits: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return min_m (z_mc - z_my) for every class c."""
    return _margins(logits, labels).amin(0)


def linear_target(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return sum_m a_m z_m, a on the simplex, of least cross entropy."""
    weights = simplex_weights(_margins(logits, labels).transpose(0, 1))
    return (weights.T[:, :, None].to(logits.dtype) * logits).sum(0)


def _margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    true_class = labels.expand(len(logits), -1)[:, :, None]
    return logits - logits.gather(2, true_class)


def error_products(
    probabilities: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return sum_n <p_i - onehot, p_j - onehot>: (M, M), float64.

    Args:
        probabilities: (M, N, K).
        labels: (N,).
    """
    onehot = functional.one_hot(labels, probabilities.shape[-1])
    errors = (probabilities.double() - onehot).flatten(1)
    return errors @ errors.T


def ensemble_weights(covariance: torch.Tensor) -> torch.Tensor:
    """Return w = C^-1 1 / (1^T C^-1 1), which minimises w^T C w, sum w = 1.

    They can be negative. Peers that err alike (a singular C) share equally.

    Args:
        covariance: C (M, M).
    """
    inverse = torch.linalg.pinv(covariance.double(), hermitian=True)
    weights = inverse.sum(1)
    return weights / weights.sum()
