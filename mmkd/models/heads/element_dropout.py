"""Segmentation heads with element-wise instead of channel dropout."""

from __future__ import annotations

from typing import Any

from mmseg.models import FCNHead, PSPHead
from torch import nn

from mmkd.models.heads.torch_initial import TorchInitial
from mmkd.registry import MODELS


class ElementDropout:
    """Replace the ``Dropout2d`` before the classifier by ``Dropout``.

    mmseg drops whole channels of an image; the networks of CIRKD drop single
    elements. Mix it in before a ``BaseDecodeHead``. Names of parameters stay
    those of the stock head, so checkpoints fit both. ``conv_seg:input`` is
    the feature after dropout.
    """

    dropout_ratio: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.dropout_ratio > 0:
            self.dropout = nn.Dropout(self.dropout_ratio)


@MODELS.register_module()
class ElementDropoutPSPHead(ElementDropout, TorchInitial, PSPHead):
    """``mmseg.PSPHead``, element-wise dropout, PyTorch's initial weights."""


@MODELS.register_module()
class ElementDropoutFCNHead(ElementDropout, TorchInitial, FCNHead):
    """``mmseg.FCNHead``, element-wise dropout, PyTorch's initial weights."""
