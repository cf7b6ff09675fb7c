"""Activation boundaries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss, Pairs
from mmkd.models.necks.conv_regressor import (
    ConvRegressor,
    Size,
    as_pair,
    forward_checked,
)
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive

SCALE = 3 / 1000  # of the published code


@MODELS.register_module()
class ABLoss(FeaturePairLoss):
    """Put the student's activations on the teacher's side of zero.

    loss = sum_i 2^(i - S) 3/1000 l_i / N over the stages i = 1..S, with l =
    sum of max(s + margin, 0)^2 where t <= 0 and max(margin - s, 0)^2 where
    t > 0; s, t are values before the ReLU (for t, those after it do as
    well). Made for a first phase without task loss. Paper:
    https://arxiv.org/abs/1811.03233.

    Args:
        margin: see above.
        student_channels: channels of every stage, for connectors: a
            `ConvRegressor` without ReLU where the shapes of the two sides
            differ, the identity elsewhere. None: no connectors.
        teacher_channels: as above.
        student_sizes: heights (or (height, width)) of every stage.
        teacher_sizes: as above.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C, H, W) or lists of such maps.
        returns: scalar.

    Raises:
        ValueError: a part of the connectors' shapes is missing.
    """

    def __init__(
        self,
        margin: float = 1.0,
        student_channels: Sequence[int] | None = None,
        teacher_channels: Sequence[int] | None = None,
        student_sizes: Sequence[Size] | None = None,
        teacher_sizes: Sequence[Size] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        check_positive('ABLoss', 1.0, margin=margin)
        self.margin = margin
        given = dict(
            student_channels=student_channels,
            teacher_channels=teacher_channels,
            student_sizes=student_sizes,
            teacher_sizes=teacher_sizes,
        )
        counts = {
            key: 0 if values is None else len(values)
            for key, values in given.items()
        }
        if len(set(counts.values())) > 1:
            raise ValueError(
                f'ABLoss: numbers of stages {counts} differ; give all of '
                'these, one value per stage, or none'
            )
        self.connectors = nn.ModuleList(
            connector(*stage)
            for stage in zip(
                *(values or () for values in given.values()), strict=True
            )
        )

    def terms(self, pairs: Pairs) -> list[torch.Tensor]:
        """Return the loss of every stage, with its weight."""
        if self.connectors and len(pairs) != len(self.connectors):
            raise ValueError(
                f'ABLoss: {len(pairs)} stages, but channels and sizes of '
                f'{len(self.connectors)}; give one value per stage'
            )
        weights = [2.0 ** (k + 1 - len(pairs)) for k in range(len(pairs))]
        return [
            SCALE * weight * self.pair_loss(*pair, k)
            for k, (weight, pair) in enumerate(
                zip(weights, pairs, strict=True)
            )
        ]

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return l / N of one stage."""
        if self.connectors and not isinstance(
            self.connectors[index], nn.Identity
        ):
            student = forward_checked(
                'ABLoss', self.connectors[index], student, teacher
            )
        if student.shape != teacher.shape:
            raise ValueError(
                f'ABLoss: student features {tuple(student.shape)}, teacher '
                f'features {tuple(teacher.shape)} differ in stage '
                f'{index + 1}; give student_channels, teacher_channels, '
                'student_sizes and teacher_sizes for connectors'
            )
        off, on = student + self.margin, self.margin - student
        gap = torch.where(teacher > 0, on, off).relu()
        return gap.square().sum() / len(student)


def connector(
    student_channels: int,
    teacher_channels: int,
    student_size: Size,
    teacher_size: Size,
) -> nn.Module:
    """Return what joins the shapes of one stage."""
    same_size = as_pair(student_size) == as_pair(teacher_size)
    if same_size and student_channels == teacher_channels:
        return nn.Identity()
    return ConvRegressor(
        student_channels,
        teacher_channels,
        student_size,
        teacher_size,
        relu=False,
    )
