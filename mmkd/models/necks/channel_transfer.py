"""Bring the maps of unlike networks to a common width."""

from __future__ import annotations

from torch import nn

from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class ChannelTransfer(nn.Sequential):
    """A 1x1 convolution without bias and batch norm; nothing where C = C*.

    Args:
        in_channels: C.
        out_channels: C*.

    Shape:
        input: (N, C, H, W).
        returns: (N, C*, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        check_positive(
            'ChannelTransfer',
            64,
            in_channels=in_channels,
            out_channels=out_channels,
        )
        layers: list[nn.Module] = []
        if in_channels != out_channels:
            layers = [
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            ]
        super().__init__(*layers)
