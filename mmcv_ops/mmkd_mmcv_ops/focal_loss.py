"""Focal losses over sigmoid and over softmax, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .precision import at_least_float32


def _class_weights(weight: Tensor, target: Tensor) -> Tensor:
    """Weight of each row's class, (N,); 1 without weights, for background."""
    if not weight.numel():
        return torch.ones(len(target), device=target.device)
    known = (target >= 0) & (target < len(weight))
    return weight[target * known].masked_fill(~known, 1.0)


def _hits(target: Tensor, classes: int) -> Tensor:
    """True at each row's class, (N, classes); nowhere for background."""
    return target[:, None] == torch.arange(classes, device=target.device)


@torch.no_grad()
def sigmoid_focal_loss_forward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Loss of each class.

    Args:
        input: logits (N, K). target: (N,), background is K.
        weight: of classes (K,), or empty. output: (N, K).
    """
    (logits,) = at_least_float32(input)
    p = logits.sigmoid()
    hit = -alpha * (1 - p).pow(gamma) * logsigmoid(logits)
    miss = -(1 - alpha) * p.pow(gamma) * logsigmoid(-logits)
    loss = torch.where(_hits(target, logits.shape[1]), hit, miss)
    output.copy_(loss * _class_weights(weight, target)[:, None])


@torch.no_grad()
def sigmoid_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative of each loss by its logit."""
    (logits,) = at_least_float32(input)
    p = logits.sigmoid()
    hit = (1 - p).pow(gamma) * (1 - p - gamma * p * logsigmoid(logits))
    miss = p.pow(gamma) * (gamma * (1 - p) * logsigmoid(-logits) - p)
    hits = _hits(target, logits.shape[1])
    grad = torch.where(hits, -alpha * hit, (alpha - 1) * miss)
    grad_input.copy_(grad * _class_weights(weight, target)[:, None])


def _chosen(softmax: Tensor, target: Tensor) -> Tensor:
    """Probability of each row's class, (N,), above zero."""
    p = softmax.gather(1, target.clamp(min=0)[:, None]).squeeze(1)
    return p.clamp(min=torch.finfo(p.dtype).tiny)


@torch.no_grad()
def softmax_focal_loss_forward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Loss of each row.

    Args:
        softmax: probabilities (N, K). target: (N,), ignored when negative.
        weight: of classes (K,), or empty. output: (N,).
    """
    (softmax,) = at_least_float32(softmax)
    p = _chosen(softmax, target)
    loss = -alpha * (1 - p).pow(gamma) * p.log()
    loss = loss * _class_weights(weight, target)
    output.copy_(loss * (target >= 0))


@torch.no_grad()
def softmax_focal_loss_backward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative of each loss by the logits (N, K)."""
    (softmax,) = at_least_float32(softmax)
    p = _chosen(softmax, target)
    rest = 1 - p
    slope = gamma * rest.pow(gamma - 1) * p * p.log() - rest.pow(gamma)
    slope = alpha * slope * _class_weights(weight, target)
    slope = slope * (target >= 0)
    buff.copy_(slope)
    hits = _hits(target, softmax.shape[1]).to(softmax)
    grad_input.copy_(slope[:, None] * (hits - softmax))
