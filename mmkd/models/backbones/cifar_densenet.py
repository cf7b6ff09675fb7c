"""DenseNets with bottlenecks and compression for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import (
    KAIMING_FAN_OUT,
    CIFARBackbone,
)
from mmkd.models.backbones.layers import conv1x1, conv3x3
from mmkd.registry import MODELS


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1, BN, ReLU, 3x3; appends its maps to those it is given."""

    def __init__(self, in_channels: int, growth_rate: int) -> None:
        super().__init__()
        inner = 4 * growth_rate
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv1x1(in_channels, inner)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = conv3x3(inner, growth_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W); gives ``growth_rate`` channels more."""
        out = self.conv1(F.relu(self.bn1(x), inplace=True))
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        return torch.cat([x, out], 1)


class Transition(nn.Sequential):
    """BN, ReLU, 1x1 with fewer channels, 2x2 average pooling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            conv1x1(in_channels, out_channels),
            nn.AvgPool2d(2),
        )


@MODELS.register_module()
class CIFARDenseNet(CIFARBackbone):
    """DenseNet-BC: three dense blocks of bottlenecks, compression 0.5.

    A stage is a dense block and the transition behind it; the last stage
    has none, and the last map comes from the final batch norm (``bn_last``)
    and ReLU. Convolutions start from N(0, sqrt(2 / (k * k *
    out_channels))). Paper: https://arxiv.org/abs/1608.06993.

    Args:
        depth: 6n + 4, n layers of two convolutions per block.
        growth_rate: channels that a layer adds.
        stem_channels: of the first convolution; None is twice
            ``growth_rate``.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: an unknown depth, or a number that is not positive.
    """

    default_init = KAIMING_FAN_OUT
    stem_names = ('conv1',)
    tail_names = ('bn_last', 'relu_last')

    def __init__(
        self,
        depth: int,
        growth_rate: int = 12,
        stem_channels: int | None = None,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        self.num_layers, rest = divmod(depth - 4, 6)
        if rest or self.num_layers < 1:
            raise ValueError(
                f'CIFARDenseNet: depth={depth} is no 6n + 4; set `depth` to '
                'one of 40, 100, 190, 250 or another 6n + 4'
            )
        stem = 2 * growth_rate if stem_channels is None else stem_channels
        if growth_rate < 1 or stem < 1:
            raise ValueError(
                f'CIFARDenseNet: growth_rate={growth_rate} and stem_channels='
                f'{stem_channels} must be positive; e.g. growth_rate=12'
            )
        self.growth_rate = growth_rate
        self.stem_channels = stem
        self.stage_strides = (2, 2, 1)
        channels: list[int] = []
        for stride in self.stage_strides:
            before = channels[-1] if channels else stem
            channels.append((before + self._grown) // stride)
        self.stage_channels = tuple(channels)
        self.out_channels = channels[-1]

        self.conv1 = conv3x3(3, stem)
        self._add_stages()
        self.bn_last = nn.BatchNorm2d(self.out_channels)
        self.relu_last = nn.ReLU()

    @property
    def _grown(self) -> int:
        """Channels that a dense block adds."""
        return self.num_layers * self.growth_rate

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        for _ in range(self.num_layers):
            yield DenseLayer(in_channels, self.growth_rate)
            in_channels += self.growth_rate
        if stride > 1:
            yield Transition(in_channels, in_channels // 2)
