"""MobileNetV2 for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import (
    KAIMING_FAN_OUT,
    CIFARBackbone,
    check_choice,
)
from mmkd.models.backbones.layers import conv1x1, conv3x3
from mmkd.registry import MODELS

# stage -> rows of (expansion, width, blocks, stride)
ROWS = (
    ((1, 16, 1, 1), (6, 24, 2, 1)),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)


class InvertedResidual(nn.Module):
    """1x1, depthwise 3x3, linear 1x1; summed with an input of its shape."""

    def __init__(
        self, in_channels: int, out_channels: int, expansion: int, stride: int
    ) -> None:
        super().__init__()
        inner = expansion * in_channels
        self.conv = nn.Sequential(
            conv1x1(in_channels, inner),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            conv3x3(inner, inner, stride, groups=inner),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            conv1x1(inner, out_channels),
            nn.BatchNorm2d(out_channels),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        out = self.conv(x)
        return x + out if self.has_shortcut else out


@MODELS.register_module()
class CIFARMobileNetV2(CIFARBackbone):
    """MobileNetV2 with ReLU (not ReLU6), four stages of strides 1, 2, 2, 2.

    Every block has its 1x1 expansion, also where the factor is 1; widths are
    not rounded. A stage ends with a linear bottleneck (widths 12, 16, 48 and
    160 at a half); the last map has the 1x1 convolution to 1280 channels
    (``conv_last``), batch norm and ReLU. Convolutions start from
    N(0, sqrt(2 / (k * k * out_channels))).

    Args:
        widen_factor: of all widths; 1280 grows with it, but never shrinks.
        stem_stride: 2 in the CRD benchmark, 1 in HSAKD: the same parameters,
            a quarter of the multiply-adds, and quite another accuracy.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: ``stem_stride`` is neither 1 nor 2, or ``widen_factor``
            leaves no channel.
    """

    default_init = KAIMING_FAN_OUT
    num_stages = 4
    tail_names = ('conv_last', 'bn_last', 'relu_last')

    def __init__(
        self,
        widen_factor: float = 0.5,
        stem_stride: int = 2,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        check_choice('CIFARMobileNetV2', 'stem_stride', stem_stride, (1, 2))
        if int(16 * widen_factor) < 1:
            raise ValueError(
                f'CIFARMobileNetV2: widen_factor={widen_factor} leaves no '
                'channel; set `widen_factor` to 0.5, 1.0, ...'
            )
        self.widen_factor = widen_factor
        self.stem_channels = int(32 * widen_factor)
        self.stage_channels = tuple(
            int(rows[-1][1] * widen_factor) for rows in ROWS
        )
        self.stage_strides = tuple(rows[0][3] for rows in ROWS)
        self.out_channels = int(1280 * max(widen_factor, 1))

        self.conv1 = conv3x3(3, self.stem_channels, stem_stride)
        self.bn1 = nn.BatchNorm2d(self.stem_channels)
        self.relu = nn.ReLU()
        self._add_stages()
        self.conv_last = conv1x1(self.stage_channels[-1], self.out_channels)
        self.bn_last = nn.BatchNorm2d(self.out_channels)
        self.relu_last = nn.ReLU()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        for expansion, channels, num_blocks, _ in ROWS[stage - 1]:
            width = int(channels * self.widen_factor)
            for _ in range(num_blocks):
                yield InvertedResidual(in_channels, width, expansion, stride)
                in_channels, stride = width, 1
