"""Hints: regressed student features against the teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss, Pairs
from mmkd.models.necks.conv_regressor import (
    ConvRegressor,
    Size,
    forward_checked,
)
from mmkd.registry import MODELS


@MODELS.register_module()
class FitNetLoss(FeaturePairLoss):
    """Squared error between regressed student and teacher features.

    loss = mean over N, C, H, W of (r(f_s) - f_t)^2. The regressor r is

    - with channels and sizes: `ConvRegressor` (convolution, batch norm,
      ReLU), the classification form, published weight 100;
    - with channels alone: a 1x1 convolution without bias, the segmentation
      form, published weight 10;
    - else the identity.

    It is trained together with the student. Paper:
    https://arxiv.org/abs/1412.6550.

    For the levels of a pyramid, lists of channels (and sizes) give a
    regressor for each level, numbers one for all; the levels are summed.

    Args:
        student_channels: C_s, see above, or one per level.
        teacher_channels: C_t, or one per level.
        student_size: H_s, or (H_s, W_s), or one per level.
        teacher_size: H_t, or (H_t, W_t), or one per level.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, H_s, W_s) and (N, C_t, H_t, W_t), or
            lists of such maps (levels); of one shape without regressor.
        returns: scalar.

    Raises:
        ValueError: channels or sizes are given for one side only, or not
            equally many.
    """

    def __init__(
        self,
        student_channels: int | Sequence[int] | None = None,
        teacher_channels: int | Sequence[int] | None = None,
        student_size: Size | Sequence[Size] | None = None,
        teacher_size: Size | Sequence[Size] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        channels = unlisted(student_channels), unlisted(teacher_channels)
        sizes = unlisted(student_size), unlisted(teacher_size)
        if (channels.count(None) == 1 or sizes.count(None) == 1) or (
            channels == (None, None) != sizes
        ):
            raise ValueError(
                f'FitNetLoss: channels (student, teacher) {channels} and '
                f'sizes {sizes} are incomplete; give student_channels and '
                'teacher_channels, both sizes with them, or none of these'
            )
        self.regressor: nn.Module = nn.Identity()
        if any(isinstance(given, Sequence) for given in channels):
            self.regressor = nn.ModuleList(
                make_regressor(*level) for level in levels(channels, sizes)
            )
        elif channels[0] is not None:
            self.regressor = make_regressor(*channels, *sizes)

    def terms(self, pairs: Pairs) -> list[torch.Tensor]:
        """Return the loss of every level."""
        several = isinstance(self.regressor, nn.ModuleList)
        if several and len(pairs) != len(self.regressor):  # type: ignore
            raise ValueError(
                f'FitNetLoss: {len(pairs)} levels, but '
                f'{len(self.regressor)} student_channels and '  # type: ignore
                "teacher_channels; give one number per level, or 'auto'"
            )
        return super().terms(pairs)

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the mean squared error of level ``index``."""
        owner, regressor = 'FitNetLoss', self.regressor
        if isinstance(regressor, nn.ModuleList):
            owner, regressor = f'{owner}, level {index}', regressor[index]
        if not isinstance(regressor, nn.Identity):
            student = forward_checked(owner, regressor, student, teacher)
        if student.shape != teacher.shape:
            raise ValueError(
                f'FitNetLoss: student features {tuple(student.shape)}, '
                f'teacher features {tuple(teacher.shape)} differ; set '
                'student_channels and teacher_channels (and student_size, '
                'teacher_size) for a regressor between them, '
                "e.g. student_channels='auto', teacher_channels='auto'"
            )
        return functional.mse_loss(student, teacher)


def unlisted(given: Any) -> Any:
    """Return the only entry of a list of one, everything else as it is."""
    if isinstance(given, Sequence) and len(given) == 1:
        return given[0]
    return given


def make_regressor(
    student_channels: int,
    teacher_channels: int,
    student_size: Size | None,
    teacher_size: Size | None,
) -> nn.Module:
    """Return what takes the student's maps to the teacher's channels."""
    if student_size is not None and teacher_size is not None:
        return ConvRegressor(
            student_channels, teacher_channels, student_size, teacher_size
        )
    return nn.Conv2d(student_channels, teacher_channels, 1, bias=False)


def levels(
    channels: Sequence[int | Sequence[int] | None],
    sizes: Sequence[Size | Sequence[Size] | None],
) -> list[tuple]:
    """Return the arguments of `make_regressor` for every level.

    Raises:
        ValueError: there are not equally many of all.
    """
    given = [*channels, *(size for size in sizes if size is not None)]
    counts = {
        len(values) if isinstance(values, Sequence) else 0 for values in given
    }
    if len(counts) > 1 or counts == {0}:
        raise ValueError(
            f'FitNetLoss: channels (student, teacher) {tuple(channels)} and '
            f'sizes {tuple(sizes)} are not equally many; give one number per '
            'level on both sides, and tap equally many levels, by index, '
            "e.g. 'neck[{0,1,2}]'"
        )
    columns = given + [[None] * counts.pop()] * (4 - len(given))
    return list(zip(*columns, strict=True))
