"""VGG networks with batch norm for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import (
    KAIMING_FAN_OUT,
    CIFARBackbone,
    check_choice,
)
from mmkd.registry import MODELS

# depth -> convolutions of the five blocks
NUM_CONVS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class PoolLargeMaps(nn.MaxPool2d):
    """2x2 max pooling of maps of 8x8 and more; smaller ones pass."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, H, W) unless it is small."""
        return super().forward(x) if min(x.shape[-2:]) >= 8 else x


@MODELS.register_module()
class CIFARVGG(CIFARBackbone):
    """VGG: five stages of 3x3 convolutions (with bias), BN and ReLU.

    There is no stem. Max pooling stands at the start of a stage, so a stage
    gives its map before pooling: 64 x 32 x 32, 128 x 16 x 16, 256 x 8 x 8,
    512 x 4 x 4, 512 x 4 x 4. Convolutions start from N(0, sqrt(2 / (k * k *
    out_channels))), their biases at 0.

    Args:
        depth: 8, 11, 13, 16 or 19.
        num_pools: 2x2 max-poolings: 3 (before stages 2 to 4), 4 (also before
            stage 5) or 5 (also at the end: the VGG-16 of some online
            methods). None is 3, or 4 for images of 64x64 and more.
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: an unknown depth or ``num_pools``.
    """

    default_init = KAIMING_FAN_OUT
    num_stages = 5
    stem_names = ()

    def __init__(
        self,
        depth: int,
        num_pools: int | None = None,
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        check_choice('CIFARVGG', 'depth', depth, NUM_CONVS)
        check_choice('CIFARVGG', 'num_pools', num_pools, (None, 3, 4, 5))
        self.num_convs = NUM_CONVS[depth]
        self.num_pools = num_pools
        self.stem_channels = 3
        self.stage_channels = (64, 128, 256, 512, 512)
        self.stage_strides = (1, 2, 2, 2, 2 if (num_pools or 3) > 3 else 1)
        self.out_channels = self.stage_channels[-1]

        self._add_stages()
        if num_pools == 5:
            self.tail_names = ('pool_last',)
            self.pool_last = nn.MaxPool2d(2)

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        width = self.stage_channels[stage - 1]
        if stride > 1:
            yield nn.MaxPool2d(stride)
        elif stage == 5 and self.num_pools is None:
            yield PoolLargeMaps()
        for _ in range(self.num_convs[stage - 1]):
            yield nn.Conv2d(in_channels, width, 3, padding=1)
            yield nn.BatchNorm2d(width)
            yield nn.ReLU()
            in_channels = width
