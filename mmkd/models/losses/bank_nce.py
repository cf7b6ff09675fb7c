"""Noise-contrastive loss against columns of a bank (CRD, MCL-OKD)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable

EPSILON = 1e-7
# Above this many bank rows per column, single rows are read instead of
# multiplying with the whole bank.
DENSE_LIMIT = 16

Settle = Callable[[torch.Tensor], torch.Tensor]


def bank_nce(
    embed: torch.Tensor,
    bank: torch.Tensor,
    index: torch.Tensor,
    temperature: float,
    settle: Settle,
    epsilon: float = EPSILON,
) -> torch.Tensor:
    """Return the sum over anchors A of `nce_criterion` against one bank.

    One product of the embeddings with the whole bank, of which the columns
    in ``index`` are taken, replaces reading (N, 1 + K, d) rows; of a large
    bank they are read once for all A. The gradient is computed along with
    the loss, so that nothing but (A, N, d) is kept and the bank may be
    written afterwards.

    Args:
        embed: (N, d) unit vectors, or (A, N, d).
        bank: (n, d), a constant.
        index: (N, 1 + K), column 0 the positive.
        temperature: tau.
        settle: gets the mean of exp(scores), a scalar or (A,), and returns
            the constant Z.
        epsilon: see `nce_criterion`.

    Returns:
        Scalar; its gradient cannot be differentiated again.
    """
    rest = (bank, index, temperature, settle, epsilon)
    if embed.requires_grad and torch.is_grad_enabled():
        return _BankNCE.apply(embed, *rest)
    return _loss(embed, *rest)


def nce_criterion(
    p: torch.Tensor, num_samples: int, epsilon: float = EPSILON
) -> torch.Tensor:
    """Return the loss of telling a positive from noise.

    l = -mean_N [log(p_0 / (p_0 + q + e)) + sum_k log(q / (p_k + q + e))],
    q = K / n.

    Args:
        p: (..., N, 1 + K) normalised scores, column 0 the positive.
        num_samples: n, rows of the bank.
        epsilon: e.

    Returns:
        (...), one loss per anchor.
    """
    q = (p.shape[-1] - 1) / num_samples
    # -log(p / (p + q)) and -log(q / (p + q)), without cancellation
    hit = torch.log1p((q + epsilon) / p[..., 0])
    misses = torch.log1p((p[..., 1:] + epsilon) / q)
    return (hit + misses.sum(-1)).mean(-1)


class _BankNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, embed: torch.Tensor, *rest: Any) -> torch.Tensor:
        with torch.enable_grad():
            learner = embed.detach().requires_grad_()
            loss = _loss(learner, *rest)
            (grad,) = torch.autograd.grad(loss, learner)
        ctx.save_for_backward(grad)
        return loss.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple:
        (own,) = ctx.saved_tensors
        return grad * own, None, None, None, None, None


def _loss(
    embed: torch.Tensor,
    bank: torch.Tensor,
    index: torch.Tensor,
    temperature: float,
    settle: Settle,
    epsilon: float,
) -> torch.Tensor:
    raw = _scores(embed / temperature, bank.to(embed.dtype), index).exp()
    z = settle(raw.detach().mean((-2, -1)))
    p = raw / torch.as_tensor(z)[..., None, None]
    return nce_criterion(p, len(bank), epsilon).sum()


def _scores(
    anchors: torch.Tensor, bank: torch.Tensor, index: torch.Tensor
) -> torch.Tensor:
    """Return products (..., N, 1 + K) of anchors (..., N, d) with rows."""
    if len(bank) <= DENSE_LIMIT * index.shape[1]:
        columns = index.expand(*anchors.shape[:-2], *index.shape)
        return (anchors @ bank.T).gather(-1, columns)
    if anchors.ndim == 2:
        return (bank[index] @ anchors[:, :, None]).squeeze(2)
    return (bank[index] @ anchors.permute(1, 2, 0)).permute(2, 0, 1)
