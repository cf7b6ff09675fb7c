"""The deep-stem dilated ResNet of the CIRKD networks."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import build_conv_layer
from mmseg.models import ResNetV1c
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.utils import ResLayer
from torch import nn

from mmkd.registry import MODELS


class DilatedBasicBlock(BasicBlock):
    """``mmseg`` basic block whose second convolution is dilated as well.

    Args:
        conv2_dilation: dilation of the second 3x3 convolution.
        **kwargs: arguments of ``BasicBlock``; ``dilation`` is the one of the
            first 3x3 convolution.
    """

    conv2: nn.Conv2d

    def __init__(self, *, conv2_dilation: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv2 = build_conv_layer(
            kwargs.get('conv_cfg'),
            self.conv2.in_channels,
            self.conv2.out_channels,
            3,
            padding=conv2_dilation,
            dilation=conv2_dilation,
            bias=False,
        )


@MODELS.register_module()
class ResNetV1s(ResNetV1c):
    """ResNet with a 64-64-128 stem of three 3x3 convolutions.

    Differences from ``mmseg.ResNetV1c``: the stem is twice as wide
    (``stem_channels=128``), so stage 1 has a projection shortcut; the first
    block of a dilated stage has half the stage's dilation
    (``contract_dilation=True``); in basic blocks the second convolution
    always has the stage's dilation; the last BN of a block starts at 1.
    For output stride 8 give ``strides=(1, 2, 1, 1)`` and
    ``dilations=(1, 1, 2, 4)``. Parameter names are those of ``ResNetV1c``.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stem_channels: width after the stem; its first two have half of it.
        **kwargs: arguments of ``mmseg.ResNet``.

    Shape:
        input: (N, 3, H, W).
        returns: tuple of maps, one per entry of ``out_indices``.
    """

    arch_settings = {
        18: (DilatedBasicBlock, (2, 2, 2, 2)),
        34: (DilatedBasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        stem_channels: int = 128,
        contract_dilation: bool = True,
        zero_init_residual: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            depth=depth,
            stem_channels=stem_channels,
            contract_dilation=contract_dilation,
            zero_init_residual=zero_init_residual,
            **kwargs,
        )

    def make_res_layer(self, **kwargs: Any) -> ResLayer:
        """Pack the blocks of one stage."""
        if issubclass(kwargs['block'], BasicBlock):
            kwargs['conv2_dilation'] = kwargs['dilation']
        return ResLayer(**kwargs)
