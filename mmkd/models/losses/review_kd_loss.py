"""Knowledge review: hierarchical comparison of fused stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    Features,
    as_list,
)
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.models.losses.warmup import warmup_factor
from mmkd.registry import MODELS

GRIDS = (4, 2, 1)


@MODELS.register_module()
class ReviewKDLoss(FeaturePairLoss):
    """Compare the student's fused stages with the teacher's on grids.

    Per stage, the mean squared difference of the maps and of their averages
    on grids of 4x4, 2x2 and 1x1 cells (those smaller than the map), with
    weights 1, 1/2, 1/4, 1/8 in the order of use, divided by their sum; the
    stages are summed (`hcl`). Before that, ``fusion`` joins every student
    stage with all deeper ones. The weight grows linearly over
    ``warmup_epochs``: times min((epoch + 1) / warmup_epochs, 1). Unweighted;
    the published weights are 0.6 to 8, mostly 5, with taps in front of
    the teacher's last ReLUs. Paper: https://arxiv.org/abs/2104.09044.

    Args:
        fusion: `ReviewFusion` or its dict, trained with the student; None
            compares the maps as they are.
        warmup_epochs: 0: full weight from the start.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: lists of maps (N, C, H, W) from shallow to deep;
            a pooled vector (N, C) counts as a map of 1x1. With ``fusion``
            channels and sizes may differ. Half precision is computed in
            float32. The teacher is detached.
        epoch: counted from 0; None is after the warm-up.
        returns: scalar.
    """

    def __init__(
        self,
        fusion: nn.Module | Mapping[str, Any] | None = None,
        warmup_epochs: int = 20,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.fusion = (
            ROOT_MODELS.build(dict(fusion))
            if isinstance(fusion, Mapping)
            else fusion
        )
        self.warmup_epochs = warmup_epochs

    def forward(
        self, student: Features, teacher: Features, epoch: int | None = None
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: stages that do not fit each other or the fusion.
        """
        students, teachers = (
            [_as_map(maps) for maps in as_list(side)]
            for side in (student, teacher)
        )
        if self.fusion is not None:
            sizes = [maps.shape[2:] for maps in teachers]
            with no_autocast(students[0]):
                students = self.fusion(
                    [at_least_float32(maps) for maps in students], sizes
                )
        factor = warmup_factor(epoch, self.warmup_epochs)
        return factor * self.loss_weight * self.hcl(students, teachers)

    def hcl(self, student: Features, teacher: Features) -> torch.Tensor:
        """Return the unweighted sum over stages, without fusion.

        Raises:
            ValueError: stages that do not fit each other.
        """
        pairs = self.pairs(student, teacher)
        with no_autocast(pairs[0][0]):
            return torch.stack(
                [self.pair_loss(*pair, k) for k, pair in enumerate(pairs)]
            ).sum()

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the comparison of one stage."""
        if student.shape != teacher.shape:
            raise ValueError(
                f'ReviewKDLoss: stage {index} of the student is '
                f'{tuple(student.shape)}, that of the teacher '
                f'{tuple(teacher.shape)}; set teacher_channels of the fusion '
                "to the teacher's, or give fusion=dict(type="
                "'mmkd.ReviewFusion', ...)"
            )
        loss, total, weight = functional.mse_loss(student, teacher), 1.0, 1.0
        for cells in GRIDS:
            if cells >= student.shape[2]:
                continue
            weight /= 2
            total += weight
            coarse_s, coarse_t = (
                functional.adaptive_avg_pool2d(maps, cells)
                for maps in (student, teacher)
            )
            loss = loss + weight * functional.mse_loss(coarse_s, coarse_t)
        return loss / total


def _as_map(features: torch.Tensor) -> torch.Tensor:
    return features[:, :, None, None] if features.ndim == 2 else features
