"""The UPerNet head of the CIRKDv2 networks."""

from __future__ import annotations

from typing import Any

from mmseg.models import UPerHead

from mmkd.models.heads.torch_initial import TorchInitial
from mmkd.registry import MODELS


@MODELS.register_module()
class StridedUPerHead(TorchInitial, UPerHead):
    """``mmseg.UPerHead`` whose last convolution has stride 2.

    Its logits have stride 8, as those of dilated networks. Names of
    parameters are those of ``mmseg.UPerHead``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fpn_bottleneck.conv.stride = (2, 2)
