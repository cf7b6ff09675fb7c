"""Fusion of a student's stages from deep to shallow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from mmkd.registry import MODELS


@MODELS.register_module()
class ReviewFusion(nn.Module):
    """Residual fusion of all stages by attention (ReviewKD).

    From the deepest stage to the shallowest: x = BN(conv1x1(map)); except
    for the deepest, m = a_1 x + a_2 up(m of the stage below), (a_1, a_2) =
    sigmoid(conv1x1([x, up])); the output is BN(conv3x3(resize(m))). ``up``
    and ``resize`` are nearest-neighbour, to the sizes of the student's and
    of the teacher's map. The resized m goes on to the next stage. Paper:
    https://arxiv.org/abs/2104.09044.

    Args:
        student_channels: from shallow to deep.
        teacher_channels: from shallow to deep, as many.
        mid_channels: of x and m; None is min(512, the deepest student's).

    Shape:
        stages: list of S maps (N, C_s, H, W).
        sizes: (H, W) of the teacher's maps.
        returns: list of S maps with the teacher's channels and sizes.

    Raises:
        ValueError: no stages, or not equally many.
    """

    def __init__(
        self,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
        mid_channels: int | None = None,
    ) -> None:
        super().__init__()
        if not student_channels or (
            len(student_channels) != len(teacher_channels)
        ):
            raise ValueError(
                f'ReviewFusion: student_channels={tuple(student_channels)} '
                f'and teacher_channels={tuple(teacher_channels)} must be '
                'equally many, at least one; give one width per stage'
            )
        self.student_channels = tuple(student_channels)
        mid = mid_channels or min(512, student_channels[-1])
        self.reduce = nn.ModuleList(
            _conv_bn(channels, mid, 1) for channels in student_channels
        )
        self.attend = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * mid, 2, 1), nn.Sigmoid())
            for _ in student_channels[:-1]
        )
        self.expand = nn.ModuleList(
            _conv_bn(mid, channels, 3) for channels in teacher_channels
        )

    def forward(
        self,
        stages: Sequence[torch.Tensor],
        sizes: Sequence[Sequence[int]],
    ) -> list[torch.Tensor]:
        """Return the fused stages, from shallow to deep.

        Raises:
            ValueError: other stages than the channels say.
        """
        found = tuple(maps.shape[1] for maps in stages)
        if found != self.student_channels or len(sizes) != len(found):
            raise ValueError(
                f'ReviewFusion: student_channels={self.student_channels}, '
                f'but the student has stages of {found} channels and the '
                f'teacher {len(sizes)} stages; set the channels of all '
                'tapped stages, from shallow to deep'
            )
        fused: list[torch.Tensor] = []
        below: torch.Tensor | None = None
        for k in reversed(range(len(stages))):
            x = self.reduce[k](stages[k])
            if below is not None:
                below = _resize(below, x.shape[2:])
                shares = self.attend[k](torch.cat([x, below], 1))
                x = x * shares[:, :1] + below * shares[:, 1:]
            below = _resize(x, sizes[k])
            fused.append(self.expand[k](below))
        return fused[::-1]


def _conv_bn(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(
        in_channels, channels, kernel, padding=kernel // 2, bias=False
    )
    nn.init.kaiming_uniform_(conv.weight, a=1)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


def _resize(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    if maps.shape[2:] == torch.Size(size):
        return maps
    return functional.interpolate(maps, tuple(size), mode='nearest')
