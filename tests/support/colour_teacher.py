"""A teacher in closed form: it knows images by their mean colour.

Its weights follow from six colours, so it is right for nearly all images,
under one normalisation and one order of the channels.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import nn

from mmkd.registry import MODELS

MEAN, STD = 127.5, 64.0
COLOURS = torch.tensor(
    [
        [200.0, 60, 60], [60, 60, 200], [60, 200, 60], [200, 200, 60],
        [60, 200, 200], [200, 60, 200],
    ]
)  # fmt: skip
COUNT = len(COLOURS)


@MODELS.register_module(force=True)
class ColourBackbone(BaseModule):
    """1x1 convolution, batch norm, ReLU: (N, width, H, W)."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.relu(self.norm(self.conv(images))),)


def preprocessor(**changes: Any) -> dict[str, Any]:
    return (
        dict(
            type='ClsDataPreprocessor',
            mean=[MEAN] * 3,
            std=[STD] * 3,
            to_rgb=True,
            num_classes=COUNT,
        )
        | changes
    )


def network(width: int = 6, **changes: Any) -> dict[str, Any]:
    """Config of teacher and student; ``changes`` of the preprocessor."""
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        data_preprocessor=preprocessor(**changes),
        backbone=dict(type='mmkd.ColourBackbone', width=width),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=COUNT,
            in_channels=width,
            loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        ),
    )


@torch.no_grad()
def teach(classifier: Any) -> None:
    """Give a `network` of width 6 the weights that know the colours.

    Channels are max(x, 0) and max(-x, 0) of the three colours; their means
    give the mean colour c, and the logits are 2 p c - |p|^2 for the colour p
    of each class: its distance, but for a constant.
    """
    identity = torch.cat([torch.eye(3), -torch.eye(3)])
    backbone, fc = classifier.backbone, classifier.head.fc
    backbone.conv.weight.copy_(identity[:, :, None, None])
    backbone.norm.running_mean.fill_(0.5)
    backbone.norm.running_var.fill_(4.0)
    scale = (backbone.norm.running_var + backbone.norm.eps).sqrt()
    backbone.norm.weight.copy_(scale)
    backbone.norm.bias.copy_(backbone.norm.running_mean)
    colours = (COLOURS - MEAN) / STD
    fc.weight.copy_(torch.cat([2 * colours, -2 * colours], 1))
    fc.bias.copy_(-colours.square().sum(1))


def batches(
    count: int = 2, size: int = 24, labels: list[int] | None = None
) -> list[dict[str, Any]]:
    """Noisy images of the colours, as files are read: BGR bytes."""
    generator = torch.Generator().manual_seed(7)
    found = []
    for _ in range(count):
        chosen = torch.randint(COUNT, (size,), generator=generator).tolist()
        chosen = chosen if labels is None else (labels * size)[:size]
        images, samples = [], []
        for label in chosen:
            noise = 40 * torch.randn(3, 12, 12, generator=generator)
            shade = 15 * torch.randn(3, 1, 1, generator=generator)
            image = COLOURS[label][:, None, None] + noise + shade
            images.append(image.clamp(0, 255).byte().flip(0))
            samples.append(DataSample().set_gt_label(label))
        found.append(dict(inputs=images, data_samples=samples))
    return found
