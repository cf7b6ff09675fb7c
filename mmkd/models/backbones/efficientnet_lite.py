"""EfficientNet-Lite0: mmpretrain's EfficientNet without gates."""

from __future__ import annotations

import copy
from typing import Any

from mmpretrain.models.backbones import EfficientNet

from mmkd.registry import MODELS


@MODELS.register_module()
class EfficientNetLite(EfficientNet):
    """EfficientNet-Lite0, as TensorFlow trained it.

    B0 without squeeze-excitation and with ReLU6; padding is TensorFlow's.
    Its images are normalised by mean 127 and deviation 128 in all channels.

    Args:
        **kwargs: arguments of mmpretrain's ``EfficientNet`` but ``arch``.

    Shape:
        input: (N, 3, H, W).
        returns: tuple of maps, one per entry of ``out_indices``; the last
            one, (N, 1280, H / 32, W / 32), is what pooling reads.
    """

    layer_settings: Any

    def __init__(self, **kwargs: Any) -> None:
        layers = copy.deepcopy(self.layer_settings['b'])
        for stage in layers:
            for block in stage:
                block[2] = 0  # ratio of squeeze-excitation
        # The settings are read while the base class builds.
        self.layer_settings = dict(b=layers)
        kwargs.setdefault('act_cfg', dict(type='ReLU6'))
        super().__init__('b0', **kwargs)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Set the mode; the base class does not return the network."""
        super().train(mode)
        return self
