from __future__ import annotations

import torch
from torch import nn

from mmkd.models.heads import ProjectionHead
from mmkd.registry import MODELS


def test_layers_and_parameters():
    head = ProjectionHead(6, 8)
    kinds = [type(layer) for layer in head]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    shapes = {name: tuple(p.shape) for name, p in head.named_parameters()}
    assert shapes == {
        '0.weight': (8, 6, 1, 1),
        '1.weight': (8,),
        '1.bias': (8,),
        '3.weight': (8, 8, 1, 1),
    }
    assert head(torch.randn(2, 6, 3, 4)).shape == (2, 8, 3, 4)


def test_hidden_channels_and_norm():
    head = MODELS.build(
        dict(
            type='mmkd.ProjectionHead',
            in_channels=3,
            out_channels=5,
            hidden_channels=4,
            norm_cfg=dict(type='SyncBN'),
        )
    )
    assert isinstance(head[1], nn.SyncBatchNorm)
    assert head[0].out_channels == head[1].num_features == 4
    assert head[3].out_channels == 5
