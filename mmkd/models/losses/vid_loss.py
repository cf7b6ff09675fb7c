"""Variational information distillation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    Pairs,
    pool_to_smaller,
    require_maps,
)
from mmkd.models.necks.conv_regressor import forward_checked
from mmkd.registry import MODELS

EPSILON = 1e-5  # least variance


@MODELS.register_module()
class VIDLoss(FeaturePairLoss):
    """Likelihood of the teacher's features given the student's.

    loss = sum over stages of mean [((mu - f_t)^2 / v + log v) / 2] with mean
    mu(f_s), three 1x1 convolutions without bias with ReLU between, and a
    variance v = softplus(log_scale) + 1e-5 per teacher channel. Both are
    trained. The loss may be negative. Published weight 1. Paper:
    https://arxiv.org/abs/1904.05835.

    Args:
        student_channels: C_s, or one per stage.
        teacher_channels: C_t, or one per stage.
        init_var: v at the start.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, H, W) and (N, C_t, H', W'), or lists of
            such maps; the larger map is average-pooled to the smaller.
        returns: scalar.

    Raises:
        ValueError: unequally many channels, or a variance below 1e-5.
    """

    def __init__(
        self,
        student_channels: int | Sequence[int],
        teacher_channels: int | Sequence[int],
        init_var: float = 5.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        students, teachers = _list(student_channels), _list(teacher_channels)
        if len(students) != len(teachers):
            raise ValueError(
                f'VIDLoss: student_channels={students} and teacher_channels='
                f'{teachers} must be equally many, one per stage'
            )
        if init_var <= EPSILON:
            raise ValueError(
                f'VIDLoss: init_var={init_var} must be larger than '
                f'{EPSILON}; set e.g. init_var=5.0'
            )
        start = math.log(math.expm1(init_var - EPSILON))
        self.regressors = nn.ModuleList(
            mean_regressor(s, t)
            for s, t in zip(students, teachers, strict=True)
        )
        self.log_scales = nn.ParameterList(
            nn.Parameter(torch.full((width,), start)) for width in teachers
        )

    def terms(self, pairs: Pairs) -> list[torch.Tensor]:
        """Return the loss of every stage."""
        if len(pairs) != len(self.regressors):
            raise ValueError(
                f'VIDLoss: {len(pairs)} stages, but {len(self.regressors)} '
                'student_channels and teacher_channels; give one channel '
                'number per stage'
            )
        return super().terms(pairs)

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the negative log-likelihood of one stage."""
        require_maps('VIDLoss', student, teacher)
        student, teacher = pool_to_smaller(student, teacher)
        mean = forward_checked(
            'VIDLoss', self.regressors[index], student, teacher
        )
        variance = functional.softplus(self.log_scales[index]) + EPSILON
        variance = variance[:, None, None]
        misfit = (mean - teacher).square() / variance
        return (misfit + variance.log()).mean() / 2


def mean_regressor(student_channels: int, channels: int) -> nn.Sequential:
    """Return mu: 1x1 convolutions without bias, ReLU between them."""
    return nn.Sequential(
        nn.Conv2d(student_channels, channels, 1, bias=False),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
    )


def _list(channels: int | Sequence[int]) -> list[int]:
    return [channels] if isinstance(channels, int) else list(channels)
