"""The SegFormer head of the CIRKD networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmkd.models.heads.torch_initial import TorchInitial
from mmkd.registry import MODELS


@MODELS.register_module()
class LinearSegformerHead(TorchInitial, BaseDecodeHead):
    """All-linear decoder with plain projections.

    A 1x1 convolution with bias per stage, without normalisation; maps at the
    size of the first stage, concatenated from the last stage to the first;
    1x1 convolution with bias, normalisation, ReLU; dropout; classifier.
    ``mmseg.SegformerHead`` normalises each projection and concatenates the
    other way round.

    Args:
        **kwargs: arguments of ``mmseg.BaseDecodeHead``, with lists
            ``in_channels`` and ``in_index``.

    Shape:
        inputs: list of maps, one per stage.
        returns: logits (N, K, H/4, W/4) of images (H, W); features before
            the classifier: tap ``decode_head.conv_seg:input``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        self.projections = nn.ModuleList(
            nn.Conv2d(channels, self.channels, 1)
            for channels in self.in_channels
        )
        self.fusion = ConvModule(
            len(self.in_channels) * self.channels,
            self.channels,
            1,
            bias=True,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        maps = self._transform_inputs(inputs)
        size = maps[0].shape[2:]
        projected = [
            resize(
                layer(x),
                size=size,
                mode='bilinear',
                align_corners=self.align_corners,
            )
            for layer, x in zip(self.projections, maps, strict=True)
        ]
        return self.fusion(torch.cat(projected[::-1], dim=1))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the logits."""
        return self.cls_seg(self._forward_feature(inputs))
