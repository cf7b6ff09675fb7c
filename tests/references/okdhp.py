"""OKDHP, sum by sum: the yardstick of tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


def mse(
    pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Half the mean of squared errors; weight (B, J, 1)."""
    batch, joints, height, width = pred.shape
    total = pred.new_zeros(())
    for b in range(batch):
        for j in range(joints):
            gap = weight[b, j] * (pred[b, j] - target[b, j])
            total = total + (gap * gap).sum()
    return total / (2 * batch * joints * height * width)


def pixelwise_kl(
    pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Sum over joints, mean over images and pixels; weight (B, J, 1)."""
    batch, joints, height, width = pred.shape
    total = pred.new_zeros(())
    for b in range(batch):
        for j in range(joints):
            p = (weight[b, j] * pred[b, j]).flatten().exp()
            q = (weight[b, j] * target[b, j]).flatten().exp()
            p, q = p / p.sum(), q / q.sum()
            total = total + (q * (q / p).log()).sum()
    return total / (batch * height * width)


def ramp(epoch: int, length: int) -> float:
    if length == 0:
        return 1.0
    return math.exp(-5 * (1 - min(epoch, length) / length) ** 2)


def ensemble(
    maps: Sequence[torch.Tensor], attention: torch.Tensor
) -> torch.Tensor:
    """Maps (B, J, H, W) of T branches, attention (B, T, J)."""
    total = torch.zeros_like(maps[0])
    for t, heatmaps in enumerate(maps):
        for b in range(len(heatmaps)):
            for j in range(heatmaps.shape[1]):
                total[b, j] = total[b, j] + attention[b, t, j] * heatmaps[b, j]
    return total


def attention_sum(
    feature: torch.Tensor,
    convs: Sequence[nn.Conv2d],
    norms: Sequence[nn.BatchNorm2d],
    fc: nn.Linear,
    fcs: Sequence[nn.Linear],
) -> torch.Tensor:
    """The authors' code, in eval mode; returns (B, T, J)."""
    total = torch.zeros_like(feature)
    for conv, norm in zip(convs, norms, strict=True):
        total = total + norm(conv(feature)).clamp(min=0)
    height, width = feature.shape[2:]
    pooled = total.sum(3).sum(2) / (height * width)
    z = pooled @ fc.weight.t() + fc.bias
    raw = [(z @ last.weight.t() + last.bias).exp() for last in fcs]
    return torch.stack([value / sum(raw) for value in raw], 1)


def attention_concat(
    feature: torch.Tensor,
    convs: Sequence[nn.Module],
    projections: Sequence[nn.Conv2d],
    fc: nn.Linear,
    branches: int,
) -> torch.Tensor:
    """The paper's figure, in eval mode; returns (B, T, J)."""
    height, width = feature.shape[2:]
    parts = []
    for conv, projection in zip(convs, projections[:-1], strict=True):
        found = projection(conv(feature)).clamp(min=0)
        parts.append(found.sum(3).sum(2) / (height * width))
    mean = feature.sum(3).sum(2) / (height * width)
    last = projections[-1]
    kernel = last.weight[:, :, 0, 0]
    parts.append((mean @ kernel.t() + last.bias).clamp(min=0))
    raw = (torch.cat(parts, 1) @ fc.weight.t() + fc.bias).exp()
    pieces = raw.chunk(branches, 1)
    return torch.stack([piece / sum(pieces) for piece in pieces], 1)


def objective(
    shared: Sequence[torch.Tensor],
    branches: Sequence[Sequence[torch.Tensor]],
    attention: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    *,
    ens_weight: float = 1.0,
    kd_weight: float = 2.0,
    ramp: float = 1.0,
    tail: bool = False,
) -> dict[str, torch.Tensor]:
    """All maps count once; nothing is detached."""
    maps = [*shared, *(m for branch in branches for m in branch)]
    last = [branch[-1] for branch in branches]
    combined = ensemble(maps[-len(branches) :] if tail else last, attention)
    hard = sum(mse(m, target, weight) for m in maps)
    ens = ens_weight * mse(combined, target, weight)
    soft = sum(pixelwise_kl(m, combined, weight) for m in maps)
    soft = kd_weight * ramp * soft
    return dict(hard=hard, ens=ens, soft=soft, total=hard + ens + soft)
