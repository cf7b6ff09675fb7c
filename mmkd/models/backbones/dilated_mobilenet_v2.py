"""MobileNetV2 with a dilation per block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models import MobileNetV2
from mmseg.models.utils import InvertedResidual
from torch import Tensor, nn

from mmkd.registry import MODELS


@MODELS.register_module()
class DilatedMobileNetV2(MobileNetV2):
    """``mmseg.MobileNetV2`` whose blocks have one dilation each.

    ``mmseg.MobileNetV2`` dilates only the first block of a stage. The
    defaults are the output-stride-8 network of CIRKD, which ends with the
    320-channel stage. Parameter names are those of ``mmseg.MobileNetV2``.

    Args:
        strides: of the first block of each of the seven stages.
        dilations: of the 3x3 convolutions, one list per stage with one
            number per block.
        **kwargs: arguments of ``mmseg.MobileNetV2``.

    Shape:
        input: (N, 3, H, W).
        returns: tuple of maps, one per entry of ``out_indices``.

    Raises:
        ValueError: ``dilations`` does not fit the number of blocks.
    """

    in_channels: int

    def __init__(
        self,
        strides: Sequence[int] = (1, 2, 2, 1, 1, 1, 1),
        dilations: Sequence[Sequence[int]] = (
            (1,),
            (1, 1),
            (1, 1, 1),
            (1, 2, 2, 2),
            (2, 2, 2),
            (2, 4, 4),
            (4,),
        ),
        **kwargs: Any,
    ) -> None:
        wanted = [num_blocks for _, _, num_blocks in self.arch_settings]
        given = [len(stage) for stage in dilations]
        if given != wanted:
            raise ValueError(
                f'DilatedMobileNetV2: dilations has {given} numbers in its '
                f'stages, the stages have {wanted} blocks; give `dilations` '
                'one list per stage with one number per block'
            )
        super().__init__(strides=strides, dilations=dilations, **kwargs)

    def make_layer(
        self,
        out_channels: int,
        num_blocks: int,
        stride: int,
        dilation: Sequence[int],
        expand_ratio: int,
    ) -> nn.Sequential:
        """Stack the blocks of one stage."""
        blocks = []
        for index in range(num_blocks):
            blocks.append(
                InvertedResidual(
                    self.in_channels,
                    out_channels,
                    stride=stride if index == 0 else 1,
                    expand_ratio=expand_ratio,
                    dilation=dilation[index],
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    act_cfg=self.act_cfg,
                    with_cp=self.with_cp,
                )
            )
            self.in_channels = out_channels
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return a tuple, also for a single output (mmseg: the map)."""
        maps = super().forward(x)
        return maps if isinstance(maps, tuple) else (maps,)
