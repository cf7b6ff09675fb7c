"""EfficientNet-Lite0 with the keys of timm's ``tf_efficientnet_lite0``."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# expansion, kernel, stride, channels, blocks
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip


class SameConv(nn.Conv2d):
    """Padded as TensorFlow does: more at the end."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = []
        for size in (maps.shape[-1], maps.shape[-2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(maps, pads))


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Depthwise (no expansion) or inverted residual block."""

    def __init__(
        self, old: int, new: int, expand: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        wide = old * expand
        self.expand, self.skip = expand > 1, stride == 1 and old == new
        if self.expand:
            self.conv_pw = SameConv(old, wide, 1, bias=False)
            self.bn1 = norm(wide)
        self.conv_dw = SameConv(
            wide, wide, kernel, stride, groups=wide, bias=False
        )
        last = SameConv(wide, new, 1, bias=False)
        if self.expand:
            self.bn2, self.conv_pwl, self.bn3 = norm(wide), last, norm(new)
        else:
            self.bn1, self.conv_pw, self.bn2 = norm(wide), last, norm(new)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        shortcut, act = maps, functional.relu6
        if self.expand:
            maps = act(self.bn1(self.conv_pw(maps)))
            maps = act(self.bn2(self.conv_dw(maps)))
            maps = self.bn3(self.conv_pwl(maps))
        else:
            maps = act(self.bn1(self.conv_dw(maps)))
            maps = self.bn2(self.conv_pw(maps))
        return maps + shortcut if self.skip else maps


class Lite0(nn.Module):
    """Images (N, 3, H, W) to logits (N, 1000)."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self.bn1 = norm(32)
        stages, old = [], 32
        for expand, kernel, stride, new, count in STAGES:
            blocks = []
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(Block(old, new, expand, kernel, step))
                old = new
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = SameConv(320, 1280, 1, bias=False)
        self.bn2 = norm(1280)
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = functional.relu6(self.bn1(self.conv_stem(images)))
        maps = self.blocks(maps)
        maps = functional.relu6(self.bn2(self.conv_head(maps)))
        return self.classifier(maps.mean((2, 3)))
