"""FFL and AFD, formula by formula: the yardstick of tests."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tests.references.okd_baselines import kd


def fused_logits(
    feats: Sequence[torch.Tensor],
    depthwise: torch.Tensor,
    pointwise: torch.Tensor,
    norms: Sequence[nn.Module],
    fc: nn.Linear,
) -> torch.Tensor:
    """Channel by channel; ``norms`` follow the two convolutions."""
    joined = torch.cat(list(feats), 1)
    padded = nn.functional.pad(joined, (1, 1, 1, 1))
    height, width = joined.shape[2:]
    spread = torch.zeros_like(joined)
    for channel in range(joined.shape[1]):
        for i in range(3):
            for j in range(3):
                part = padded[:, channel, i : i + height, j : j + width]
                weight = depthwise[channel, 0, i, j]
                spread[:, channel] = spread[:, channel] + weight * part
    spread = norms[0](spread).clamp(min=0)
    mixed = torch.stack(
        [
            sum(row[c, 0, 0] * spread[:, c] for c in range(len(row)))
            for row in pointwise
        ],
        1,
    )
    mixed = norms[1](mixed).clamp(min=0)
    rows = [image.flatten(1).sum(1) / (height * width) for image in mixed]
    return torch.stack([fc.weight @ row + fc.bias for row in rows])


def fusion_terms(
    logits: Sequence[torch.Tensor], fused: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """KD to the fused classifier, and to every peer."""
    mean = sum(z.detach() for z in logits) / len(logits)
    back = [kd(z, fused.detach(), temperature) for z in logits]
    return kd(fused, mean, temperature), back


def lsgan(
    real: torch.Tensor, fake: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses of discriminator and generator, score by score."""
    judge = fool = real.new_zeros(())
    for r in real.flatten():
        judge = judge + (1 - r) ** 2 / real.numel()
    for f in fake.flatten():
        judge = judge + f**2 / fake.numel()
        fool = fool + (1 - f) ** 2 / fake.numel()
    return judge, fool


def ring(
    logits: Sequence[torch.Tensor], temperature: float
) -> list[torch.Tensor]:
    """KD term of every network: its target is the one before it."""
    return [
        kd(z, logits[k - 1].detach(), temperature)
        for k, z in enumerate(logits)
    ]
