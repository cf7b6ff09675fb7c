"""Parts of the stacked hourglass: residual unit, stem, hourglass, stack."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class ResidualUnit(nn.Module):
    """Pre-activation bottleneck; all convolutions have biases.

    BN, ReLU, 1x1 to half the width; BN, ReLU, 3x3; BN, ReLU, 1x1. Where the
    width changes, the shortcut is a 1x1 convolution of the input itself.

    Args:
        in_channels: C.
        out_channels: even number D.

    Shape:
        input: (N, C, H, W); returns: (N, D, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        middle = out_channels // 2
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, middle, 1)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, 2 * middle, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        return out + self.downsample(x)


class HourglassStem(nn.Module):
    """From the image to maps of a quarter of its sides.

    Args:
        channels: F, divisible by 4; the widths on the way are F/4 and F/2.

    Shape:
        input: (N, 3, 4H, 4W); returns: (N, F, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = channels // 4, channels // 2
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = ResidualUnit(first, second)
        self.maxpool = nn.MaxPool2d(2)
        self.layer2 = ResidualUnit(second, channels)
        self.layer3 = ResidualUnit(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.maxpool(self.layer1(x))))


class Hourglass(nn.Module):
    """Down and up again by ``depth`` factors of two, with skips.

    Level l (0 is the innermost) has units for the skip, after pooling and
    before up-sampling; level 0 has one more between these.

    Args:
        depth: number of levels.
        channels: F.
        upsample_to_skip: interpolate to the size of the skip, for sides
            that are not divisible by 2^depth; else these fail.

    Shape:
        input, returns: (N, F, H, W).
    """

    def __init__(
        self, depth: int, channels: int, upsample_to_skip: bool = False
    ) -> None:
        super().__init__()
        self.depth = depth
        self.upsample_to_skip = upsample_to_skip
        self.levels = nn.ModuleList(
            nn.ModuleList(
                ResidualUnit(channels, channels)
                for _ in range(3 if level else 4)
            )
            for level in range(depth)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._level(self.depth - 1, x)

    def _level(self, level: int, x: torch.Tensor) -> torch.Tensor:
        units: Any = self.levels[level]
        skip = units[0](x)
        low = units[1](functional.max_pool2d(x, 2))
        low = self._level(level - 1, low) if level else units[3](low)
        low = units[2](low)
        if self.upsample_to_skip:
            return skip + functional.interpolate(low, size=skip.shape[-2:])
        return skip + functional.interpolate(low, scale_factor=2.0)


class HourglassStack(nn.Module):
    """An hourglass, its heat maps, and the way back to the next stack.

    y = `unit` (f), h = `score` (y), next f = f + `remap` (y) + `back` (h).

    Args:
        channels: F.
        joints: J.
        last: nothing follows; no ``remap`` and ``back``.
        depth, upsample_to_skip: see `Hourglass`.

    Shape:
        input: f (N, F, H, W).
        returns: next f, or None of the last stack; h (N, J, H, W).
    """

    def __init__(
        self,
        channels: int,
        joints: int,
        last: bool = False,
        depth: int = 4,
        upsample_to_skip: bool = False,
    ) -> None:
        super().__init__()
        self.unit = nn.Sequential(
            Hourglass(depth, channels, upsample_to_skip),
            ResidualUnit(channels, channels),
            nn.Sequential(
                nn.Conv2d(channels, channels, 1),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ),
        )
        self.score = nn.Conv2d(channels, joints, 1)
        self.remap = None if last else nn.Conv2d(channels, channels, 1)
        self.back = None if last else nn.Conv2d(joints, channels, 1)

    def forward(
        self, feats: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        y = self.unit(feats)
        heatmaps = self.score(y)
        if self.remap is None or self.back is None:
            return None, heatmaps
        return feats + self.remap(y) + self.back(heatmaps), heatmaps


def check_hourglass(
    owner: str, feat_channels: int, depth: int, **stacks: int
) -> None:
    """Refuse settings of which no network can be built.

    Args:
        owner: name of the class.
        feat_channels, depth: of the hourglasses.
        stacks: setting -> number of stacks or joints, at least 1.

    Raises:
        ValueError: names the setting and what is allowed.
    """
    if feat_channels < 4 or feat_channels % 4:
        raise ValueError(
            f'{owner}: feat_channels={feat_channels} must be a multiple of '
            '4: the stem has a quarter and half of it'
        )
    for key, value in dict(depth=depth, **stacks).items():
        if value < 1:
            raise ValueError(f'{owner}: {key}={value} must be at least 1')


def check_image_size(
    owner: str,
    images: torch.Tensor,
    maps: torch.Tensor,
    depth: int,
    upsample_to_skip: bool,
) -> None:
    """Refuse maps that hourglasses cannot halve ``depth`` times.

    Raises:
        ValueError: names the sizes and the two ways out.
    """
    height, width = maps.shape[-2:]
    step = 2**depth
    if upsample_to_skip and min(height, width) >= step:
        return
    if height % step or width % step:
        sides = 'x'.join(str(side) for side in images.shape[-2:])
        hint = (
            f'or smaller backbone.depth (now {depth})'
            if upsample_to_skip
            else f'or a smaller backbone.depth (now {depth}), or '
            'upsample_to_skip=True'
        )
        raise ValueError(
            f'{owner}: images of {sides} give maps of {height}x{width}, '
            f'which cannot be halved {depth} times: use sides (input_size '
            f'of the codec) divisible by {4 * step}, {hint}'
        )
