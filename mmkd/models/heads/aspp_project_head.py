"""The DeepLabV3 head of the CIRKD networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmkd.models.heads.element_dropout import ElementDropout
from mmkd.models.heads.torch_initial import TorchInitial
from mmkd.registry import MODELS


@MODELS.register_module()
class ASPPProjectHead(ElementDropout, TorchInitial, BaseDecodeHead):
    """Atrous spatial pyramid with a 1x1 projection (DeepLabV3).

    Branches: 1x1, three dilated 3x3, and global average pooling with 1x1,
    each C channels; concatenation, 1x1 to C, Dropout(``project_dropout``);
    3x3 to C, Dropout(``dropout_ratio``), classifier ``conv_seg``. Dropout is
    element-wise. ``mmseg.ASPPHead`` has one 3x3 convolution from 5C to C
    instead of the projection and the 3x3 convolution. Initial weights are
    PyTorch's (`TorchInitial`).

    Args:
        dilations: of the branches; 1 stands for a 1x1 convolution.
        project_dropout: dropout after the projection.
        **kwargs: arguments of ``mmseg.BaseDecodeHead`` (``in_channels``,
            ``channels`` = C, ``num_classes``, ``dropout_ratio=0.1``, ...).

    Shape:
        inputs: list of maps, the one of ``in_index`` (N, in_channels, H, W).
        returns: logits (N, K, H, W); the feature before the classifier is
            (N, C, H, W), tap ``decode_head.conv_seg:input``.
    """

    def __init__(
        self,
        dilations: Sequence[int] = (1, 12, 24, 36),
        project_dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.branches = nn.ModuleList(
            self._conv(self.in_channels, 1 if d == 1 else 3, d)
            for d in dilations
        )
        self.image_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), self._conv(self.in_channels, 1)
        )
        self.project = nn.Sequential(
            self._conv((len(dilations) + 1) * self.channels, 1),
            nn.Dropout(project_dropout),
        )
        self.bottleneck = self._conv(self.channels, 3)

    def _conv(
        self, in_channels: int, kernel_size: int, dilation: int = 1
    ) -> ConvModule:
        return ConvModule(
            in_channels,
            self.channels,
            kernel_size,
            padding=dilation * (kernel_size // 2),
            dilation=dilation if kernel_size > 1 else 1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        pooled = resize(
            self.image_pool(x),
            size=x.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )
        maps = [branch(x) for branch in self.branches] + [pooled]
        return self.bottleneck(self.project(torch.cat(maps, dim=1)))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the logits (N, K, H, W)."""
        return self.cls_seg(self._forward_feature(inputs))
