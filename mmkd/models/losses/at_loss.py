"""Attention transfer."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    pool_to_smaller,
    require_maps,
)
from mmkd.registry import MODELS


@MODELS.register_module()
class ATLoss(FeaturePairLoss):
    """Imitate where the teacher's activations are large.

    loss = sum over stages of mean_{N, H W} (a(f_s) - a(f_t))^2, with
    a(f) = vec(mean_c |f|^p) / its L2 norm. The mean goes over positions too,
    hence the large published weights: 1000 for classification on all stages,
    10000 for segmentation on the features before the classifier. Paper:
    https://arxiv.org/abs/1612.03928.

    Args:
        p: power of the activations.
        pool: average-pool the larger map to the smaller (classification);
            False refuses maps of different height and width (segmentation).
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C, H, W) or lists of such maps; channels may
            differ.
        returns: scalar.
    """

    def __init__(
        self, p: float = 2.0, pool: bool = True, loss_weight: float = 1.0
    ) -> None:
        super().__init__(loss_weight)
        if p <= 0:
            raise ValueError(f'ATLoss: p={p} must be positive; set e.g. p=2')
        self.p = p
        self.pool = pool

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one stage."""
        require_maps('ATLoss', student, teacher)
        if self.pool:
            student, teacher = pool_to_smaller(student, teacher)
        elif student.shape[2:] != teacher.shape[2:]:
            raise ValueError(
                f'ATLoss: student features {tuple(student.shape)}, teacher '
                f'features {tuple(teacher.shape)} differ in height or width; '
                'choose taps of the same stride, or set pool=True'
            )
        return functional.mse_loss(
            self.attention(student), self.attention(teacher)
        )

    def attention(self, maps: torch.Tensor) -> torch.Tensor:
        """Return a(f), (N, H W), of maps (N, C, H, W)."""
        powers = maps.square() if self.p == 2 else maps.abs().pow(self.p)
        return functional.normalize(powers.mean(1).flatten(1), dim=1)
