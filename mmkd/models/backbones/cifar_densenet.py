"""DenseNet-BC for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import CIFARBackbone
from mmkd.models.backbones.hcgnet import BNReLUConv
from mmkd.registry import MODELS

# Normal, std = sqrt(2 / (k * k * in_channels)); batch norm 1 and 0.
KAIMING_FAN_IN: list[dict[str, Any]] = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='relu'),
    dict(type='Constant', layer='BatchNorm2d', val=1.0, bias=0.0),
]


class DenseUnit(nn.Sequential):
    """Adds ``growth`` channels to its input."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__(
            BNReLUConv(in_channels, 4 * growth, 1),
            BNReLUConv(4 * growth, growth, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + growth, H, W)."""
        return torch.cat((x, super().forward(x)), 1)


@MODELS.register_module()
class CIFARDenseNet(CIFARBackbone):
    """DenseNet-BC: three dense blocks with bottlenecks.

    Stages 1 and 2 are a block and the transition behind it, which halves
    channels and resolution; stage 3 is a block. The last map has the final
    batch norm (``bn_last``) and ReLU. Convolutions start from N(0, sqrt(2 /
    (k * k * in_channels))). Paper: https://arxiv.org/abs/1608.06993.

    Args:
        num_units: of the three blocks.
        growth: channels that each unit adds; the stem has twice as many.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: not three positive ``num_units``.
    """

    default_init = KAIMING_FAN_IN
    stem_names = ('conv1',)
    tail_names = ('bn_last', 'relu_last')

    def __init__(
        self,
        num_units: Sequence[int] = (6, 6, 6),
        growth: int = 12,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        if len(num_units) != self.num_stages or min(num_units) < 1:
            raise ValueError(
                f'CIFARDenseNet: num_units={tuple(num_units)} must be three '
                'positive numbers; set `num_units` to e.g. (6, 6, 6)'
            )
        self.num_units = tuple(num_units)
        self.growth = growth
        self.stem_channels = 2 * growth
        self.stage_strides = (2, 2, 1)
        channels, widths = self.stem_channels, []
        for units, stride in zip(
            self.num_units, self.stage_strides, strict=True
        ):
            channels = (channels + units * growth) // stride
            widths.append(channels)
        self.stage_channels = tuple(widths)
        self.out_channels = channels

        self.conv1 = nn.Conv2d(3, self.stem_channels, 3, padding=1, bias=False)
        self._add_stages()
        self.bn_last = nn.BatchNorm2d(channels)
        self.relu_last = nn.ReLU()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        for _ in range(self.num_units[stage - 1]):
            yield DenseUnit(in_channels, self.growth)
            in_channels += self.growth
        if stride > 1:
            yield BNReLUConv(in_channels, in_channels // stride, 1)
            yield nn.AvgPool2d(stride)
