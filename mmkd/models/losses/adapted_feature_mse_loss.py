"""Feature maps of a narrower network against those of a wider one (OEM)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss, require_maps
from mmkd.registry import MODELS

Channels = int | Sequence[int]


@MODELS.register_module()
class AdaptedFeatureMSELoss(FeaturePairLoss):
    """Squared error between adapted and uncompressed feature maps.

    loss = sum over blocks b of mean over N, C, H, W of (A_b(s_b) - t_b)^2,
    A_b a 1x1 convolution with bias in PyTorch's default initialisation; t is
    detached. Without adaptation both maps are averaged over their channels
    instead. Paper: https://arxiv.org/abs/2011.07449 (authors' code; the
    printed equation sums over a map).

    Args:
        student_channels: of every map.
        teacher_channels: of every map.
        use_adaptation: see above.
        loss_weight: factor on the returned value.

    Shape:
        student_maps: B maps (N, C_s, H, W).
        teacher_maps: B maps (N, C_t, H, W) of the same sizes.
        returns: scalar.

    Raises:
        ValueError: not equally many maps, or other sizes or channels.
    """

    def __init__(
        self,
        student_channels: Channels,
        teacher_channels: Channels,
        use_adaptation: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.student_channels = _as_tuple(student_channels)
        self.teacher_channels = _as_tuple(teacher_channels)
        if len(self.student_channels) != len(self.teacher_channels):
            raise ValueError(
                'AdaptedFeatureMSELoss: student_channels='
                f'{list(self.student_channels)} and teacher_channels='
                f'{list(self.teacher_channels)} must be of equally many '
                'blocks; tap as many stages of every student'
            )
        self.use_adaptation = use_adaptation
        pairs = zip(self.student_channels, self.teacher_channels, strict=True)
        self.adapters = nn.ModuleList(
            nn.Conv2d(own, wanted, 1) for own, wanted in pairs
        )
        if not use_adaptation:
            self.adapters = nn.ModuleList()

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the mean squared error of one block."""
        require_maps('AdaptedFeatureMSELoss', student, teacher)
        if student.shape[2:] != teacher.shape[2:]:
            raise ValueError(
                f'AdaptedFeatureMSELoss: maps {index} are of '
                f'{tuple(student.shape[2:])} and {tuple(teacher.shape[2:])} '
                'pixels; compress channels, not strides, and tap the same '
                'stages'
            )
        if not self.use_adaptation:
            return functional.mse_loss(student.mean(1), teacher.mean(1))
        known = index < len(self.adapters)
        expected = (
            (self.student_channels[index], self.teacher_channels[index])
            if known
            else None
        )
        if (student.shape[1], teacher.shape[1]) != expected:
            raise ValueError(
                f'AdaptedFeatureMSELoss: maps {index} have '
                f'{student.shape[1]} and {teacher.shape[1]} channels, but '
                f'student_channels={list(self.student_channels)}, '
                f'teacher_channels={list(self.teacher_channels)}; give those '
                'of the maps, one per block'
            )
        return functional.mse_loss(self.adapters[index](student), teacher)


def _as_tuple(channels: Channels) -> tuple[int, ...]:
    return (channels,) if isinstance(channels, int) else tuple(channels)
