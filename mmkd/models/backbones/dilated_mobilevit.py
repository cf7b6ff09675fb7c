"""MobileViT of output stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmpretrain.models import MobileViT

from mmkd.registry import MODELS


@MODELS.register_module()
class DilatedMobileViT(MobileViT):
    """``mmpretrain.MobileViT`` with dilated in place of strided stages.

    In a stage with a dilation above 1 the first block has stride 1, and its
    3x3 convolution this dilation. The defaults are the output-stride-8
    network of CIRKDv2. Parameter names are those of
    ``mmpretrain.MobileViT``, whose ImageNet weights fit.

    Args:
        arch: 'small', 'x_small' or 'xx_small'.
        dilations: one per stage.
        **kwargs: arguments of ``mmpretrain.MobileViT``.

    Shape:
        input: (N, 3, H, W).
        returns: tuple of maps, one per entry of ``out_indices``.

    Raises:
        ValueError: not one dilation per stage, or an unknown ``arch``.
    """

    def __init__(
        self,
        arch: str = 'xx_small',
        dilations: Sequence[int] = (1, 1, 1, 2, 4),
        **kwargs: Any,
    ) -> None:
        if arch not in self.arch_settings:
            raise ValueError(
                f'DilatedMobileViT: arch={arch!r} is unknown; choose one of '
                f'{", ".join(self.arch_settings)}'
            )
        stages = [list(stage) for stage in self.arch_settings[arch]]
        if len(stages) != len(dilations):
            raise ValueError(
                f'DilatedMobileViT: dilations={tuple(dilations)}, but there '
                f'are {len(stages)} stages; give one for each'
            )
        for stage, dilation in zip(stages, dilations, strict=True):
            if dilation > 1:
                stage[2] = 1  # kind, channels, stride, ...
        super().__init__(arch=stages, **kwargs)
        for layer, dilation in zip(self.layers, dilations, strict=True):
            if dilation > 1:
                conv = layer[0].conv[-2].conv  # depth-wise
                conv.dilation = conv.padding = (dilation, dilation)

    def train(self, mode: bool = True) -> DilatedMobileViT:
        """Set the mode; mmpretrain's returns nothing."""
        super().train(mode)
        return self
