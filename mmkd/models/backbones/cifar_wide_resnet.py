"""Wide ResNets (pre-activation) for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import (
    KAIMING_FAN_OUT,
    CIFARBackbone,
)
from mmkd.models.backbones.layers import conv1x1, conv3x3
from mmkd.registry import MODELS


class PreActivationBlock(nn.Module):
    """BN, ReLU, conv, BN, ReLU, conv.

    The shortcut is the raw input, or, where the width changes, a 1x1
    convolution of the activated input.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.downsample = (
            conv1x1(in_channels, out_channels, stride)
            if stride != 1 or in_channels != out_channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        active = F.relu(self.bn1(x))
        out = F.relu(self.bn2(self.conv1(active)), inplace=True)
        out = self.conv2(out)
        return out + (
            x if self.downsample is None else self.downsample(active)
        )


@MODELS.register_module()
class CIFARWideResNet(CIFARBackbone):
    """WRN-d-k: three stages of widths 16k, 32k, 64k, strides 1, 2, 2.

    A stage gives the sum of its last block, before the next batch norm; the
    last map has the final batch norm (``bn_last``) and ReLU. No dropout.
    Convolutions start from N(0, sqrt(2 / (k * k * out_channels))). Paper:
    https://arxiv.org/abs/1605.07146.

    Args:
        depth: d = 6n + 4.
        widen_factor: k.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: an unknown depth, or ``widen_factor`` is not positive.
    """

    default_init = KAIMING_FAN_OUT
    stem_names = ('conv1',)
    tail_names = ('bn_last', 'relu_last')

    def __init__(
        self,
        depth: int,
        widen_factor: int = 1,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        self.num_blocks, rest = divmod(depth - 4, 6)
        if rest or self.num_blocks < 1:
            raise ValueError(
                f'CIFARWideResNet: depth={depth} is no 6n + 4; set `depth` '
                'to one of 10, 16, 22, 28, 34, 40 or another 6n + 4'
            )
        if widen_factor <= 0:
            raise ValueError(
                f'CIFARWideResNet: widen_factor={widen_factor} must be '
                'positive; set `widen_factor` to 1, 2, 4, ...'
            )
        self.stem_channels = 16
        self.stage_channels = tuple(
            int(width * widen_factor) for width in (16, 32, 64)
        )
        self.stage_strides = (1, 2, 2)
        self.out_channels = self.stage_channels[-1]

        self.conv1 = conv3x3(3, self.stem_channels)
        self._add_stages()
        self.bn_last = nn.BatchNorm2d(self.out_channels)
        self.relu_last = nn.ReLU()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        width = self.stage_channels[stage - 1]
        for _ in range(self.num_blocks):
            yield PreActivationBlock(in_channels, width, stride)
            in_channels, stride = width, 1
