"""Feature maps and vectors compared by their angle."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    pool_to_smaller,
    require_maps,
)
from mmkd.registry import MODELS


@MODELS.register_module()
class DenseCosineLoss(FeaturePairLoss):
    """Turn the student's features towards the teacher's, place by place.

    loss = mean over N, H, W of 1 - cos(r(f_s), f_t), with a 1x1 convolution
    r, trained with the student. Lengths of feature vectors do not count, so
    a teacher's few outlying tokens do not either. The cosine part of
    AM-RADIO's spatial term, https://arxiv.org/abs/2312.06709.

    Args:
        student_channels: C_s.
        teacher_channels: C_t.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, H, W) and (N, C_t, H', W'); the larger map
            is average-pooled to the smaller (``resize`` in the config
            interpolates instead).
        returns: scalar.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.projection = nn.Conv2d(student_channels, teacher_channels, 1)

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of maps."""
        owner = type(self).__name__
        require_maps(owner, student, teacher)
        student, teacher = pool_to_smaller(student, teacher)
        check_channels(
            owner,
            (self.projection.in_channels, self.projection.out_channels),
            student,
            teacher,
        )
        projected = self.projection(student)
        return 1 - functional.cosine_similarity(projected, teacher).mean()


@MODELS.register_module()
class GlobalCosineLoss(FeaturePairLoss):
    """Turn the student's global vector towards the teacher's.

    loss = mean over N of 1 - cos(r(v_s), v_t), with a linear layer r,
    trained with the student. AM-RADIO's summary term,
    https://arxiv.org/abs/2312.06709.

    Args:
        student_channels: C_s.
        teacher_channels: C_t.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s) and (N, C_t); maps (N, C, H, W) are
            averaged over positions.
        returns: scalar.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.projection = nn.Linear(student_channels, teacher_channels)

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of vectors."""
        student, teacher = pooled(student), pooled(teacher)
        check_channels(
            type(self).__name__,
            (self.projection.in_features, self.projection.out_features),
            student,
            teacher,
        )
        projected = self.projection(student)
        return 1 - functional.cosine_similarity(projected, teacher).mean()


def pooled(features: torch.Tensor) -> torch.Tensor:
    """Return (N, C) of (N, C) or (N, C, ...)."""
    return features if features.ndim == 2 else features.flatten(2).mean(2)


def check_channels(
    owner: str,
    expected: tuple[int, int],
    student: torch.Tensor,
    teacher: torch.Tensor,
) -> None:
    """Refuse features of other channels than the projection is made for.

    Raises:
        ValueError: names both.
    """
    found = student.shape[1], teacher.shape[1]
    if found != expected:
        raise ValueError(
            f'{owner}: student_channels={expected[0]}, teacher_channels='
            f'{expected[1]}, but student features are '
            f'{tuple(student.shape)} and teacher features '
            f'{tuple(teacher.shape)}: leave both numbers out, they are '
            'filled in'
        )
