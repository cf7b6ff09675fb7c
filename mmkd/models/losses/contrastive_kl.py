"""KL divergences between the contrastive distributions of peers.

Target and student of every divergence are both at hand as soon as one
softmax over all logits is computed, and the gradient with respect to the
logits is a difference of probabilities. Writing it down saves most of the
steps, and all but one of the tensors, of automatic differentiation. It can
be differentiated only once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable


def intra_kl(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Sum over a != b of T^2 mean_r KL(p_b[r] || p_a[r]), p_b detached.

    Args:
        logits: (M, B, C) of M peers; p = softmax over C of logits / T.
        temperature: T.

    Returns:
        scalar; exactly 0 for M = 1.
    """
    return _IntraKL.apply(logits, temperature)


def inter_kl(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Sum over a != b of T^2 mean_r KL(p_ba[r] || p_ab[r]), p_ba detached.

    Args:
        logits: (M, B, M, C), those of the pair (a, b) at [a, :, b].
        temperature: T.

    Returns:
        scalar; exactly 0 for M = 1.
    """
    return _InterKL.apply(logits, temperature)


class _IntraKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        log_p = (logits / temperature).log_softmax(-1)
        p = log_p.exp()
        ctx.save_for_backward(p)
        ctx.temperature = temperature
        ratio = log_p[:, None] - log_p  # [b, a]
        return (p[:, None] * ratio).sum() * temperature**2 / p.shape[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (p,) = ctx.saved_tensors
        scale = grad * (ctx.temperature / p.shape[1])
        return (len(p) * p - p.sum(0)) * scale, None


class _InterKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        log_p = (logits / temperature).log_softmax(-1)
        p = log_p.exp()
        ctx.save_for_backward(p)
        ctx.temperature = temperature
        ratio = log_p - log_p.transpose(0, 2)
        return ratio.mul_(p).sum() * temperature**2 / p.shape[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (p,) = ctx.saved_tensors
        scale = grad * (ctx.temperature / p.shape[1])
        return (p - p.transpose(0, 2)).mul_(scale), None
