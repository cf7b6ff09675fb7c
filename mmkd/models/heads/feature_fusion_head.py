"""A classifier of the last maps of several networks (FFL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.necks.channel_transfer import ChannelTransfer
from mmkd.models.necks.pooling import pooled_to_smallest
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive

_OWNER = 'FeatureFusionHead'


@MODELS.register_module()
class FeatureFusionHead(nn.Module):
    """Fuse the maps of n networks and classify the result.

    X = concat(f_1, ..., f_n), nC channels; depth-wise 3x3 convolution, BN,
    ReLU; 1x1 convolution to C, BN, ReLU; mean over positions; linear. Nothing
    is detached: the fused classifier trains the networks, too. Paper:
    https://arxiv.org/abs/1904.09058.

    Args:
        in_channels: C_1, ..., C_n.
        num_classes: K.
        out_channels: C, width of the fused map; None is the largest C_i.
        adapter_channels: bring every map to this width first, by a 1x1
            convolution and BN where it has another one (`ChannelTransfer`);
            None concatenates the maps as they are.
        resize: None refuses maps of unequal size; ``'pool'`` averages all to
            the smallest.
        dense: classify every position: no mean, and a 1x1 convolution
            instead of the linear layer. Our extension to segmentation and
            pose.

    Shape:
        feats: n maps (N, C_i, H, W).
        returns: (N, K); with ``dense`` (N, K, H, W).

    Raises:
        ValueError: fewer than two networks.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        out_channels: int | None = None,
        adapter_channels: int | None = None,
        resize: str | None = None,
        dense: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(in_channels, int) or len(in_channels) < 2:
            raise ValueError(
                f'{_OWNER}: in_channels={in_channels} is of fewer than two '
                'networks; give the channels of every map, e.g. [64, 64]'
            )
        if resize not in (None, 'pool'):
            raise ValueError(
                f"{_OWNER}: resize={resize!r}; choose None or 'pool'"
            )
        self.in_channels = list(in_channels)
        self.num_classes = num_classes
        self.out_channels = out_channels or max(in_channels)
        self.resize = resize
        self.dense = dense
        check_positive(_OWNER, 100, num_classes=num_classes)
        check_positive(_OWNER, 64, out_channels=self.out_channels)
        widths = [adapter_channels or width for width in in_channels]
        self.adapters = nn.ModuleList(
            ChannelTransfer(*pair)
            for pair in zip(in_channels, widths, strict=True)
        )
        total, out = sum(widths), self.out_channels
        self.depthwise = nn.Conv2d(
            total, total, 3, padding=1, groups=total, bias=False
        )
        self.depthwise_norm = nn.BatchNorm2d(total)
        self.pointwise = nn.Conv2d(total, out, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(out)
        self.fc: nn.Module = (
            nn.Conv2d(out, num_classes, 1)
            if dense
            else nn.Linear(out, num_classes)
        )
        for conv in (self.depthwise, self.pointwise):
            nn.init.kaiming_normal_(
                conv.weight, mode='fan_out', nonlinearity='relu'
            )

    def fuse(self, feats: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the fused map (N, C, H, W).

        Raises:
            ValueError: the maps do not fit each other or ``in_channels``.
        """
        maps = [
            adapt(value)
            for adapt, value in zip(
                self.adapters, self._alike(feats), strict=True
            )
        ]
        fused = self.depthwise(torch.cat(maps, 1))
        if self.training and fused.shape.numel() == fused.shape[1]:
            raise ValueError(
                f'{_OWNER}: batch norm has no statistics of one image with '
                '1x1 maps; use a batch_size of at least 2 (and '
                'drop_last=True)'
            )
        fused = functional.relu(self.depthwise_norm(fused))
        fused = self.pointwise_norm(self.pointwise(fused))
        return functional.relu(fused)

    def forward(self, feats: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the fused logits.

        Raises: see `fuse`.
        """
        fused = self.fuse(feats)
        return self.fc(fused if self.dense else fused.mean((2, 3)))

    def _alike(self, feats: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the maps, of one size."""
        if len(feats) != len(self.in_channels):
            raise ValueError(
                f'{_OWNER}: built for {len(self.in_channels)} networks, got '
                f'{len(feats)} maps; give in_channels as many entries'
            )
        for k, (value, width) in enumerate(
            zip(feats, self.in_channels, strict=True)
        ):
            if value.ndim != 4:
                raise ValueError(
                    f'{_OWNER}: peer {k} gives {tuple(value.shape)}, not '
                    'feature maps (N, C, H, W); tap the last map before it '
                    'is pooled, not the neck or the pooled features'
                )
            if value.shape[1] != width:
                raise ValueError(
                    f'{_OWNER}: peer {k} gives {value.shape[1]} channels, '
                    f'but in_channels says {width}; correct in_channels, or '
                    'leave it out'
                )
        check_sizes([value.shape for value in feats], self.resize)
        return pooled_to_smallest(feats)


def check_sizes(shapes: Sequence[Any], resize: str | None) -> None:
    """Compare heights and widths of maps (N, C, H, W).

    Raises:
        ValueError: they differ, and nothing says how to resize.
    """
    sizes = dict.fromkeys(f'{s[2]}x{s[3]}' for s in shapes)
    if resize is None and len(sizes) > 1:
        raise ValueError(
            'feature maps to be fused have different spatial sizes '
            f'({", ".join(sizes)}); choose sub-networks with equal output '
            "stride or set resize='pool' (exchange.fusion.resize)"
        )
