"""Convolutions and the channel shuffle that several backbones share."""

from __future__ import annotations

from torch import Tensor, nn


def conv3x3(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Conv2d:
    """Return a 3x3 convolution without bias that keeps H and W."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        3,
        stride=stride,
        padding=dilation,
        dilation=dilation,
        groups=groups,
        bias=False,
    )


def conv1x1(
    in_channels: int, out_channels: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Return a 1x1 convolution without bias."""
    return nn.Conv2d(
        in_channels, out_channels, 1, stride=stride, groups=groups, bias=False
    )


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of ``groups`` equal groups.

    Channel ``g * C / groups + c`` of (N, C, H, W) becomes channel
    ``c * groups + g``.
    """
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
