"""Correlation congruence."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.registry import MODELS
from mmkd.utils.shapes import check_channels


@MODELS.register_module()
class CCLoss(FeaturePairLoss):
    """Shrink what the embeddings of neighbours in a batch differ by.

    loss = mean over n = 1..N-1 of sum_j d_{n,j} d_{n+1,j}, d = |e_s - e_t|,
    where e are linear embeddings of both sides, both trained, or, without
    channels, the features themselves. It depends on the order of the batch.
    Published weight 0.02. Paper: https://arxiv.org/abs/1904.01802, as in the
    CRD benchmark.

    Args:
        student_channels: width of the student's features, for embeddings.
        teacher_channels: width of the teacher's features.
        feat_dim: width of the embeddings.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, D_s) and (N, D_t), N > 1; trailing dimensions
            are flattened.
        returns: scalar.

    Raises:
        ValueError: only one of the two channels is given.
    """

    def __init__(
        self,
        student_channels: int | None = None,
        teacher_channels: int | None = None,
        feat_dim: int = 128,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        channels = dict(student=student_channels, teacher=teacher_channels)
        if list(channels.values()).count(None) == 1:
            raise ValueError(
                f'CCLoss: student_channels={student_channels}, '
                f'teacher_channels={teacher_channels}; give both for linear '
                'embeddings, or none'
            )
        self.embeddings = nn.ModuleDict(
            {
                side: nn.Linear(width, feat_dim)
                for side, width in channels.items()
                if width is not None
            }
        )

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of features."""
        student, teacher = student.flatten(1), teacher.flatten(1)
        if self.embeddings:
            student = self._embed('student', student)
            teacher = self._embed('teacher', teacher)
        if student.shape != teacher.shape or len(student) < 2:
            raise ValueError(
                f'CCLoss: student {tuple(student.shape)} and teacher '
                f'{tuple(teacher.shape)} need one width and two images or '
                'more; set student_channels and teacher_channels for '
                'embeddings, and batch_size > 1'
            )
        distance = (student - teacher).abs()
        return (distance[:-1] * distance[1:]).sum(1).mean()

    def _embed(self, side: str, features: torch.Tensor) -> torch.Tensor:
        embedding: Any = self.embeddings[side]
        check_channels('CCLoss', side, features, embedding.in_features)
        return embedding(features)
