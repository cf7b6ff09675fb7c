"""mmpretrain's EfficientNet with a width of its own."""

from __future__ import annotations

import copy
from typing import Any

from mmpretrain.models.backbones import EfficientNet
from mmpretrain.models.utils import make_divisible

from mmkd.registry import MODELS


@MODELS.register_module()
class SlimEfficientNet(EfficientNet):
    """EfficientNet of another width, its depth unchanged.

    All widths but that of the stem are those of ``arch`` times
    ``width_factor``, rounded to multiples of 8 as usual. With 1 it is
    mmpretrain's ``EfficientNet``, parameter names included.

    Args:
        arch: ``'b0'`` to ``'b8'``.
        width_factor: of all layers but the first.
        stem_channels: of the first convolution; None is that of ``arch``.
        **kwargs: arguments of mmpretrain's ``EfficientNet``.

    Shape:
        input: (N, 3, H, W).
        returns: tuple of maps, one per entry of ``out_indices``.

    Raises:
        ValueError: an unknown ``arch``, or ``width_factor`` is not positive.
    """

    arch_settings: Any
    layer_settings: Any

    def __init__(
        self,
        arch: str = 'b0',
        width_factor: float = 1.0,
        stem_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        known = [name for name in self.arch_settings if name[0] == 'b']
        if arch not in known or width_factor <= 0:
            raise ValueError(
                f'SlimEfficientNet: arch={arch!r}, width_factor='
                f'{width_factor}: set `arch` to one of {", ".join(known)} and '
                '`width_factor` above 0'
            )
        width, depth, size = self.arch_settings[arch]
        layers = copy.deepcopy(self.layer_settings['b'])
        stem = layers[0][0]
        if stem_channels is None:
            stem_channels = make_divisible(stem[1] * width, 8)
        width *= width_factor
        stem[1] = stem_channels / width  # which the base class multiplies
        # The settings are read while the base class builds.
        self.arch_settings = {arch: (width, depth, size)}
        self.layer_settings = dict(b=layers)
        super().__init__(arch, **kwargs)

    @property
    def stage_names(self) -> list[tuple[str, ...]]:
        """Names of the modules of stem, stages and the last convolution."""
        return [(f'layers.{k}',) for k in range(len(self.layers))]
