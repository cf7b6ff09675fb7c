"""Partial distance to pre-activation features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    Features,
    as_list,
    pool_to_smaller,
    require_maps,
)
from mmkd.models.losses.precision import no_autocast
from mmkd.registry import MODELS


@MODELS.register_module()
class OFDLoss(FeaturePairLoss):
    """Pull the student's pre-ReLU maps to the teacher's, where it matters.

    With the margin m < 0 of a channel and the target t' = max(t, m), the
    term of a position is (s - t')^2 where s > t' or t > 0, else 0: how
    negative the student is below the margin, or below a negative target,
    does not count. Per stage this is summed over channels and positions and
    averaged over the batch; stage i of S weighs 2^(i - S), the last one 1.
    Larger maps are average-pooled to the size of the smaller. Unweighted;
    the published weight is 1e-3. The authors' code runs the teacher with
    batch statistics here; ours stays in eval mode. Paper:
    https://arxiv.org/abs/1904.01866.

    Args:
        student_channels: widths of the student's maps; with
            ``teacher_channels``, a 1x1 convolution and batch norm per stage
            go before the comparison and are trained. None: as they are.
        teacher_channels: as many.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: pre-ReLU maps (N, C, H, W), or lists of them from
            shallow to deep. Half precision is computed in float32.
        margin: (1, C, 1, 1) per stage, as `BatchNormMargins` gives them.
        returns: scalar.
    """

    def __init__(
        self,
        student_channels: Sequence[int] | int | None = None,
        teacher_channels: Sequence[int] | int | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        students, teachers = map(
            _channels, (student_channels, teacher_channels)
        )
        if len(students) != len(teachers):
            raise ValueError(
                f'OFDLoss: student_channels={student_channels} and '
                f'teacher_channels={teacher_channels} must be equally many; '
                'give one width per stage of both, or neither'
            )
        self.connectors = nn.ModuleList(
            connector(*pair) for pair in zip(students, teachers, strict=True)
        )

    def forward(  # type: ignore[override]
        self, student: Features, teacher: Features, margin: Features
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: maps and margins that do not fit each other.
        """
        margins, pairs = as_list(margin), self.pairs(student, teacher)
        for name, values in (
            ('margin', margins),
            ('student_channels', self.connectors or pairs),
        ):
            if len(values) != len(pairs):
                raise ValueError(
                    f'OFDLoss: {name} has {len(values)} entries for '
                    f'{len(pairs)} stages; give one per stage (margins: '
                    'BatchNormMargins.norms)'
                )
        with no_autocast(pairs[0][0]):
            terms = [
                2.0 ** (index + 1 - len(pairs)) * self._term(index, *pair)
                for index, pair in enumerate(
                    (s, t, m) for (s, t), m in zip(pairs, margins, strict=True)
                )
            ]
            return self.loss_weight * torch.stack(terms).sum()

    def _term(
        self,
        index: int,
        student: torch.Tensor,
        teacher: torch.Tensor,
        margin: torch.Tensor,
    ) -> torch.Tensor:
        """Return the unweighted term of stage ``index``."""
        require_maps('OFDLoss', student, teacher)
        if self.connectors:
            joint: Any = self.connectors[index]
            if student.shape[1] != joint[0].in_channels:
                raise ValueError(
                    f'OFDLoss: student_channels[{index}]='
                    f'{joint[0].in_channels}, but the student features '
                    f'are {tuple(student.shape)}; set {student.shape[1]}'
                )
            student = joint(student)
        if not student.shape[1] == teacher.shape[1] == margin.numel():
            raise ValueError(
                f'OFDLoss: stage {index} has {student.shape[1]} student and '
                f'{teacher.shape[1]} teacher channels and {margin.numel()} '
                'margins; set student_channels and teacher_channels, and '
                "take the margins of the teacher's tapped layers"
            )
        student, teacher = pool_to_smaller(student, teacher)
        margin = margin.detach().to(teacher).view(1, -1, 1, 1)
        target = torch.maximum(teacher, margin)
        counts = (student > target) | (teacher > 0)
        return ((student - target).square() * counts).sum() / len(student)


def connector(student_channels: int, teacher_channels: int) -> nn.Sequential:
    """Return 1x1 convolution, from N(0, 2 / C_t), and batch norm."""
    conv = nn.Conv2d(student_channels, teacher_channels, 1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')
    return nn.Sequential(conv, nn.BatchNorm2d(teacher_channels))


def _channels(given: Sequence[int] | int | None) -> list[int]:
    if given is None:
        return []
    return [given] if isinstance(given, int) else list(given)
