"""Hints: regressed student features against the teacher's."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
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

    Args:
        student_channels: C_s, see above.
        teacher_channels: C_t.
        student_size: H_s, or (H_s, W_s).
        teacher_size: H_t, or (H_t, W_t).
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, H_s, W_s) and (N, C_t, H_t, W_t); of one
            shape without regressor.
        returns: scalar.

    Raises:
        ValueError: channels or sizes are given for one side only.
    """

    def __init__(
        self,
        student_channels: int | None = None,
        teacher_channels: int | None = None,
        student_size: Size | None = None,
        teacher_size: Size | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        channels = student_channels, teacher_channels
        sizes = student_size, teacher_size
        if (channels.count(None) == 1 or sizes.count(None) == 1) or (
            channels == (None, None) != sizes
        ):
            raise ValueError(
                f'FitNetLoss: channels (student, teacher) {channels} and '
                f'sizes {sizes} are incomplete; give student_channels and '
                'teacher_channels, both sizes with them, or none of these'
            )
        self.regressor: nn.Module = nn.Identity()
        if student_size is not None and teacher_size is not None:
            self.regressor = ConvRegressor(*channels, *sizes)  # type: ignore
        elif student_channels is not None and teacher_channels is not None:
            self.regressor = nn.Conv2d(
                student_channels, teacher_channels, 1, bias=False
            )

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the mean squared error."""
        if not isinstance(self.regressor, nn.Identity):
            student = forward_checked(
                'FitNetLoss', self.regressor, student, teacher
            )
        if student.shape != teacher.shape:
            raise ValueError(
                f'FitNetLoss: student features {tuple(student.shape)}, '
                f'teacher features {tuple(teacher.shape)} differ; set '
                'student_channels and teacher_channels (and student_size, '
                'teacher_size) for a regressor between them'
            )
        return functional.mse_loss(student, teacher)
