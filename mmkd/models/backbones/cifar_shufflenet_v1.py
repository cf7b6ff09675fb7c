"""ShuffleNetV1 for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import CIFARBackbone
from mmkd.models.backbones.layers import conv1x1, conv3x3, shuffle_channels
from mmkd.registry import MODELS

GROUPS = 3
STEM_CHANNELS = 24
NUM_UNITS = (4, 8, 4)


class ShuffleUnit(nn.Module):
    """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1.

    With stride 1 the input is added, with stride 2 its 3x3 average is put
    beside. ReLU also follows the depthwise convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: 1 or 2.
        inner: channels inside.
        groups: of the first convolution and the shuffle; the last
            convolution has `GROUPS`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        inner: int,
        groups: int,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.stride = stride
        own = out_channels - (in_channels if stride == 2 else 0)
        self.conv1 = conv1x1(in_channels, inner, groups=groups)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv3x3(inner, inner, stride, groups=inner)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv1x1(inner, own, groups=GROUPS)
        self.bn3 = nn.BatchNorm2d(own)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = shuffle_channels(out, self.groups)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        if self.stride == 1:
            return self.relu(out + x)
        pooled = F.avg_pool2d(x, 3, stride=2, padding=1)
        return self.relu(torch.cat((out, pooled), 1))


@MODELS.register_module()
class CIFARShuffleNetV1(CIFARBackbone):
    """ShuffleNetV1 with three groups: stages of 240, 480 and 960 channels.

    The stem is a 1x1 convolution of stride 1; every stage starts with a
    stride-2 unit. Initialisation is PyTorch's default.

    Args:
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.
    """

    def __init__(
        self, out_indices: Sequence[int] = (-1,), init_cfg: Any = None
    ) -> None:
        super().__init__(out_indices, init_cfg)
        self.stem_channels = STEM_CHANNELS
        self.stage_channels = (240, 480, 960)
        self.stage_strides = (2, 2, 2)
        self.out_channels = self.stage_channels[-1]

        self.conv1 = conv1x1(3, self.stem_channels)
        self.bn1 = nn.BatchNorm2d(self.stem_channels)
        self.relu = nn.ReLU()
        self._add_stages()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        width = self.stage_channels[stage - 1]
        for _ in range(NUM_UNITS[stage - 1]):
            own = width - (in_channels if stride == 2 else 0)
            groups = 1 if in_channels == STEM_CHANNELS else GROUPS
            yield ShuffleUnit(in_channels, width, stride, own // 4, groups)
            in_channels, stride = width, 1
