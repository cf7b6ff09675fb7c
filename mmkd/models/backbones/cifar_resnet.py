"""ResNets with three stages for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import (
    KAIMING_FAN_OUT,
    CIFARBackbone,
    check_choice,
)
from mmkd.models.backbones.layers import conv1x1, conv3x3
from mmkd.registry import MODELS


class PadShortcut(nn.Module):
    """Every ``stride``-th pixel; new channels are zero. No parameters.

    Args:
        new_channels: zero channels appended after the given ones.
        stride: in both directions.
    """

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad (N, C, H, W)."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))


def make_shortcut(
    kind: str, in_channels: int, out_channels: int, stride: int
) -> nn.Module:
    """Return the path beside a block; identity where shapes allow it."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == 'conv':
        return nn.Sequential(
            conv1x1(in_channels, out_channels, stride),
            nn.BatchNorm2d(out_channels),
        )
    if out_channels < in_channels:
        raise ValueError(
            f"CIFARResNet: shortcut='pad' cannot go from {in_channels} to "
            f"{out_channels} channels; set `shortcut='conv'` or wider "
            '`stage_channels`'
        )
    return PadShortcut(out_channels - in_channels, stride)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; `relu` acts on the sum only."""

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, inner: int, stride: int, kind: str
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, inner, stride)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv3x3(inner, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = make_shortcut(kind, in_channels, width, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1; `relu` acts on the sum only."""

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, inner: int, stride: int, kind: str
    ) -> None:
        super().__init__()
        self.conv1 = conv1x1(in_channels, inner)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv3x3(inner, inner, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv1x1(inner, width)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = make_shortcut(kind, in_channels, width, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        out += self.downsample(x)
        return self.relu(out)


Block = type[BasicBlock] | type[Bottleneck]
# block -> (class, convolutions per block, usual depths)
BLOCKS: dict[str, tuple[Block, int, tuple[int, ...]]] = {
    'basic': (BasicBlock, 2, (8, 14, 20, 32, 44, 56, 110)),
    'bottleneck': (Bottleneck, 3, (20, 29, 47, 56, 110, 164)),
}


@MODELS.register_module()
class CIFARResNet(CIFARBackbone):
    """ResNet with three stages of equal length, strides 1, 2, 2.

    Published networks and their names: ``docs/cifar_networks.md``. In
    particular "ResNet-110" is ``block='basic'`` (1.74 M parameters) in some
    papers and ``block='bottleneck'`` (1.17 M) in others. Convolutions start
    from N(0, sqrt(2 / (k * k * out_channels))), batch norms at 1 and 0.
    Parameter names are ``conv1``, ``bn1``, ``layer{1,2,3}.{i}.conv1``, ...,
    ``downsample.{0,1}``. The sum before a block's last ReLU is the tap
    ``layer{l}.{i}.relu:input``.

    Args:
        depth: 6n + 2 with basic blocks, 9n + 2 with bottlenecks.
        block: ``'basic'`` or ``'bottleneck'``.
        stem_channels: channels of the first convolution.
        base_channels: width of stage 1; stages 2 and 3 have 2 and 4 times
            as many. Bottleneck stages give 4 times their width.
        stage_channels: the three widths themselves.
        shortcut: where the shape changes: ``'conv'``, 1x1 convolution with
            batch norm, or ``'pad'``, zero channels without parameters.
        width_factor: channels inside a block over its width.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: an unknown depth, block or shortcut, or widths that are
            not three positive numbers.
    """

    default_init = KAIMING_FAN_OUT

    def __init__(
        self,
        depth: int,
        block: str = 'basic',
        stem_channels: int = 16,
        base_channels: int = 16,
        stage_channels: Sequence[int] | None = None,
        shortcut: str = 'conv',
        width_factor: int = 1,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        check_choice('CIFARResNet', 'block', block, BLOCKS)
        check_choice('CIFARResNet', 'shortcut', shortcut, ('conv', 'pad'))
        self.block, convs, usual = BLOCKS[block]
        self.num_blocks, rest = divmod(depth - 2, 3 * convs)
        if rest or self.num_blocks < 1:
            raise ValueError(
                f'CIFARResNet: depth={depth} is no {3 * convs}n + 2, which '
                f'block={block!r} needs; set `depth` to one of '
                f'{", ".join(map(str, usual))} or another {3 * convs}n + 2'
            )
        if stage_channels is None:
            stage_channels = [base_channels * factor for factor in (1, 2, 4)]
        if len(stage_channels) != 3 or min(stage_channels) < 1:
            raise ValueError(
                f'CIFARResNet: stage_channels={tuple(stage_channels)} are '
                'not three positive numbers; give `stage_channels` one width '
                'per stage'
            )
        self.shortcut = shortcut
        self.inner_channels = tuple(width_factor * c for c in stage_channels)
        self.stem_channels = stem_channels
        self.stage_channels = tuple(
            self.block.expansion * c for c in stage_channels
        )
        self.stage_strides = (1, 2, 2)
        self.out_channels = self.stage_channels[-1]

        self.conv1 = conv3x3(3, stem_channels)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU()
        self._add_stages()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        width = self.stage_channels[stage - 1]
        inner = self.inner_channels[stage - 1]
        for _ in range(self.num_blocks):
            yield self.block(in_channels, width, inner, stride, self.shortcut)
            in_channels, stride = width, 1
