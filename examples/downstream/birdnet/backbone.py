"""The network of this project."""

import torch
from mmengine.model import BaseModule
from torch import nn

from birdnet.registry import MODELS


@MODELS.register_module()
class BirdBackbone(BaseModule):
    """Three convolutions of stride 2, the last map as a tuple.

    Args:
        width: channels of the first; the others have 2 and 4 times as many.
        init_cfg: see mmengine's BaseModule.
    """

    def __init__(self, width: int = 8, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        layers: list[nn.Module] = []
        old = 3
        for new in (width, 2 * width, 4 * width):
            layers += [
                nn.Conv2d(old, new, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(new),
                nn.ReLU(),
            ]
            old = new
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Turn (N, 3, H, W) into (N, 4 * width, H / 8, W / 8)."""
        return (self.layers(images),)
