"""ShuffleNetV2 for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import CIFARBackbone, check_choice
from mmkd.models.backbones.layers import conv1x1, conv3x3
from mmkd.registry import MODELS

# widen_factor -> widths of the stages and of the last convolution
WIDTHS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
NUM_UNITS = (4, 8, 4)


def _pointwise(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        conv1x1(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [
        conv3x3(channels, channels, stride, groups=channels),
        nn.BatchNorm2d(channels),
    ]


def interleave(left: Tensor, right: Tensor) -> Tensor:
    """Concatenate two maps of equal width and shuffle in two groups."""
    return torch.stack((left, right), 2).flatten(1, 2)


class DownUnit(nn.Module):
    """First unit of a stage: both arms see the whole input."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.left = nn.Sequential(
            *_depthwise(in_channels, stride), *_pointwise(in_channels, half)
        )
        self.right = nn.Sequential(
            *_pointwise(in_channels, half),
            *_depthwise(half, stride),
            *_pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        return interleave(self.left(x), self.right(x))


class BasicUnit(nn.Module):
    """The first half of the channels passes, the second is convolved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.right = nn.Sequential(
            *_pointwise(half, half),
            *_depthwise(half, 1),
            *_pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        left, right = x.chunk(2, 1)
        return interleave(left, self.right(right))


@MODELS.register_module()
class CIFARShuffleNetV2(CIFARBackbone):
    """ShuffleNetV2 whose stem keeps the resolution.

    Three stages of stride 2; the last map has the 1x1 convolution to 1024
    channels (``conv_last``), batch norm and ReLU. Initialisation is
    PyTorch's default.

    Args:
        widen_factor: 0.5, 1, 1.5 or 2: stages of 48, 96, 192 or 116, 232,
            464 or 176, 352, 704 or 244, 488, 976 channels.
        stem_kernel_size: 3 in MCL, 1 in the CRD benchmark and HSAKD.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: an unknown ``widen_factor`` or ``stem_kernel_size``.
    """

    tail_names = ('conv_last', 'bn_last', 'relu_last')

    def __init__(
        self,
        widen_factor: float = 1.0,
        stem_kernel_size: int = 3,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        owner = 'CIFARShuffleNetV2'
        check_choice(owner, 'widen_factor', widen_factor, WIDTHS)
        check_choice(owner, 'stem_kernel_size', stem_kernel_size, (1, 3))
        *widths, self.out_channels = WIDTHS[widen_factor]
        self.stem_channels = 24
        self.stage_channels = tuple(widths)
        self.stage_strides = (2, 2, 2)

        stem = conv1x1 if stem_kernel_size == 1 else conv3x3
        self.conv1 = stem(3, self.stem_channels)
        self.bn1 = nn.BatchNorm2d(self.stem_channels)
        self.relu = nn.ReLU()
        self._add_stages()
        self.conv_last = conv1x1(self.stage_channels[-1], self.out_channels)
        self.bn_last = nn.BatchNorm2d(self.out_channels)
        self.relu_last = nn.ReLU()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        width = self.stage_channels[stage - 1]
        yield DownUnit(in_channels, width, stride)
        for _ in range(NUM_UNITS[stage - 1] - 1):
            yield BasicUnit(width)
