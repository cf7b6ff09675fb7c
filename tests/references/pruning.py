"""Soft filter pruning, formula by formula: the yardstick of tests.

Everything is a loop over filters or weights, in Python's floats.
"""

from __future__ import annotations

import math

import torch


def norms(weight: torch.Tensor) -> list[float]:
    """||W_j||_2 of every filter j."""
    return [
        math.sqrt(sum(float(w) ** 2 for w in row.flatten())) for row in weight
    ]


def pruned_filters(weight: torch.Tensor, rate: float) -> list[int]:
    """Indices of the floor(C_out P + 1e-6) filters of smallest norm."""
    values = norms(weight)
    count = math.floor(len(values) * rate + 1e-6)
    order = sorted(range(len(values)), key=lambda j: (values[j], j))
    return sorted(order[:count])


def mask_filters(
    weight: torch.Tensor, rate: float, alpha: float, hard_ratio: float
) -> torch.Tensor:
    """W_j, alpha W_j (0 below 1e-4) for pruned j, 0 for hard-pruned j."""
    soft = pruned_filters(weight, rate)
    hard = pruned_filters(weight, rate * hard_ratio)
    result = weight.clone()
    for j in soft:
        result[j] *= 0.0 if j in hard or alpha < 1e-4 else alpha
    return result


def mask_weights(
    weight: torch.Tensor, rate: float, alpha: float
) -> torch.Tensor:
    """W where |w| >= tau = sorted(|W|)[floor(L P + 1e-6)], else alpha w."""
    magnitudes = sorted(abs(float(w)) for w in weight.flatten())
    tau = magnitudes[math.floor(len(magnitudes) * rate + 1e-6)]
    result = weight.clone().flatten()
    for i, w in enumerate(result.tolist()):
        if abs(w) < tau:
            result[i] = alpha * w
    return result.view_as(weight)


def rate(t: int, T: int, target: float) -> float:
    """P (1 - 4^(-8 t / T)), P from 0.95 T on and in the last step."""
    if t >= 0.95 * T or t == T - 1:
        return target
    return target * (1 - 4 ** (-8 * t / T))


def alpha(t: int, T: int, alpha0: float, sigma: float) -> float:
    """alpha0 exp(-k t), 0 from 0.9 T on and in the last step."""
    if t >= 0.9 * T or t == T - 1:
        return 0.0
    k = math.log((alpha0 + 0.01 * sigma) / sigma) / T
    return alpha0 * math.exp(-k * t)


def hard_ratio(t: int, T: int) -> float:
    """1 - (1 - (t + 1) / T)^3."""
    return 1 - (1 - (t + 1) / T) ** 3
