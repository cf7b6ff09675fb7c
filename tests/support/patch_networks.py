"""Small networks that propose and classify patches of 31 pixels."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS, DefaultScope

SIZE, PATCH = 63, 31


def proposal(classes: int = 3, **backbone: Any) -> dict[str, Any]:
    backbone.setdefault('num_stride1_blocks', 1)
    return dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(
            type='mmkd.AnchorNetBackbone', out_channels=16, **backbone
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead', num_classes=classes, in_channels=16, topk=1
        ),
    )


def classifier(classes: int = 3, **kwargs: Any) -> dict[str, Any]:
    return dict(
        backbone=dict(
            type='mmkd.CIFARResNet', depth=8, stem_channels=4, base_channels=4
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead', num_classes=classes, in_channels=16, topk=1
        ),
        **{'type': 'mmpretrain.ImageClassifier', **kwargs},
    )


def patch_classifier(**kwargs: Any) -> dict[str, Any]:
    given = dict(
        type='mmkd.PatchClassifier',
        proposal=proposal(),
        selector=dict(num_patches=3, iou_thresholds=0.4),
    )
    return classifier(**{**given, **kwargs})


def cascade(**kwargs: Any) -> dict[str, Any]:
    given = dict(
        type='mmkd.DynamicPatchClassifier',
        proposal=proposal(),
        global_net=classifier(type='mmkd.ResizedClassifier', input_size=PATCH),
        patch_net=classifier(),
        selector=dict(num_patches=3, iou_thresholds=0.4),
    )
    return {**given, **kwargs}


def build(config: dict[str, Any], seed: int = 0) -> Any:
    """Build in float64, with random weights and statistics."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(config)
    for name, value in network.state_dict().items():
        if name.endswith('fc.weight'):
            value.normal_()
        if 'running_var' in name:
            value.uniform_(0.5, 1.5)
    return network.double().eval()


def images(count: int = 4, size: int = SIZE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(
        count, 3, size, size, generator=generator, dtype=torch.float64
    )
