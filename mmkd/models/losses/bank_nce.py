"""Noise-contrastive loss against columns of a bank."""

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
) -> torch.Tensor:
    """Return the loss l of `CRDLoss`.

    One product of the embeddings with the whole bank, of which the columns
    in ``index`` are taken, replaces reading (N, 1 + K, d) rows. The gradient
    is computed along with the loss, so that nothing but (N, d) is kept and
    the bank may be written afterwards.

    Args:
        embed: (N, d) unit vectors.
        bank: (n, d), a constant.
        index: (N, 1 + K), column 0 the positive.
        temperature: tau.
        settle: gets the mean of exp(scores), returns the constant Z.

    Returns:
        Scalar; its gradient cannot be differentiated again.
    """
    if embed.requires_grad and torch.is_grad_enabled():
        return _BankNCE.apply(embed, bank, index, temperature, settle)
    return _loss(embed, bank, index, temperature, settle)


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
        return grad * own, None, None, None, None


def _loss(
    embed: torch.Tensor,
    bank: torch.Tensor,
    index: torch.Tensor,
    temperature: float,
    settle: Settle,
) -> torch.Tensor:
    num_samples, num_negatives = len(bank), index.shape[1] - 1
    anchors = embed / temperature
    bank = bank.to(embed.dtype)
    if num_samples <= DENSE_LIMIT * index.shape[1]:
        scores = (anchors @ bank.T).gather(1, index)
    else:
        scores = (bank[index] @ anchors[:, :, None]).squeeze(2)
    raw = scores.exp()
    p = raw / settle(raw.detach().mean())
    q = num_negatives / num_samples
    # -log(p / (p + q)) and -log(q / (p + q)), without cancellation
    hit = torch.log1p((q + EPSILON) / p[:, 0])
    misses = torch.log1p((p[:, 1:] + EPSILON) / q)
    return (hit + misses.sum(1)).mean()
