"""Least-squares adversarial losses."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS


@MODELS.register_module()
class LSGANDiscriminatorLoss(nn.Module):
    """Teach a discriminator: real scores to 1, fake ones to 0.

    loss = mean (1 - D(real))^2 + mean D(fake)^2; no factor 1/2. Paper:
    https://arxiv.org/abs/2002.01775.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        score_real, score_fake: any, in (0, 1); the mean is over all
            entries. Half precision is computed in float32.
        returns: scalar.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, score_real: torch.Tensor, score_fake: torch.Tensor
    ) -> torch.Tensor:
        """Return the weighted loss."""
        real, fake = at_least_float32(score_real), at_least_float32(score_fake)
        loss = (1 - real).square().mean() + fake.square().mean()
        return self.loss_weight * loss


@MODELS.register_module()
class LSGANGeneratorLoss(nn.Module):
    """Teach a network to be taken for a real one: fake scores to 1.

    loss = mean (1 - D(fake))^2. Paper: https://arxiv.org/abs/2002.01775.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        score_fake: any, in (0, 1); the mean is over all entries. Half
            precision is computed in float32.
        returns: scalar.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, score_fake: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss."""
        fake = at_least_float32(score_fake)
        return self.loss_weight * (1 - fake).square().mean()
