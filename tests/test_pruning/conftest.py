"""Small masked networks of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.networks import build_network
from mmkd.toys import toy_detector, toy_pose_estimator, toy_segmentor
from tests.support.masked_networks import mask_at_random


def classifier(in_channels: int, **backbone: Any) -> dict[str, Any]:
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=backbone,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead', num_classes=5, in_channels=in_channels
        ),
    )


def hrnet_stage(branches: int, block: str = 'BASIC') -> dict[str, Any]:
    widths = [4 * 2**i for i in range(branches)]
    return dict(
        num_modules=1,
        num_branches=branches,
        block=block,
        num_blocks=(1,) * branches,
        num_channels=widths,
    )


def hrnet_pose() -> dict[str, Any]:
    model = toy_pose_estimator()
    model['backbone'] = dict(
        type='HRNet',
        in_channels=3,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(1,),
                num_channels=(8,),
            ),
            stage2=hrnet_stage(2),
            stage3=hrnet_stage(3),
            stage4=hrnet_stage(4),
        ),
    )
    model['head']['in_channels'] = 4
    model['head']['deconv_out_channels'] = None
    model['head']['deconv_kernel_sizes'] = None
    return model


def segmentor_with_auxiliary_head() -> dict[str, Any]:
    model = toy_segmentor()
    model['auxiliary_head'] = dict(
        type='FCNHead',
        in_channels=32,
        in_index=2,
        channels=8,
        num_convs=1,
        num_classes=model['decode_head']['num_classes'],
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss'),
    )
    return model


def frozen_detector() -> dict[str, Any]:
    model = toy_detector()
    model['backbone']['frozen_stages'] = 1
    return model


SPECS: dict[str, Callable[[], dict[str, Any]]] = dict(
    resnet18=lambda: classifier(
        64, type='ResNet', depth=18, base_channels=8, stem_channels=8
    ),
    resnet50=lambda: classifier(
        256, type='ResNet', depth=50, base_channels=8, stem_channels=8
    ),
    resnet50_d=lambda: classifier(
        256, type='ResNetV1d', depth=50, base_channels=8, stem_channels=8
    ),
    cifar_conv=lambda: classifier(64, type='mmkd.CIFARResNet', depth=8),
    cifar_pad=lambda: classifier(
        64, type='mmkd.CIFARResNet', depth=8, shortcut='pad'
    ),
    cifar_bottleneck=lambda: classifier(
        256, type='mmkd.CIFARResNet', depth=11, block='bottleneck'
    ),
    vgg=lambda: classifier(
        512, type='VGG', depth=11, norm_cfg=dict(type='BN')
    ),
    vgg_without_norm=lambda: classifier(512, type='VGG', depth=11),
    mobilenet_v2=lambda: classifier(
        1280, type='MobileNetV2', widen_factor=0.25
    ),
    densenet=lambda: classifier(
        32,
        type='DenseNet',
        arch=dict(growth_rate=8, depths=[2, 2, 2, 2], init_channels=16),
    ),
    segmentor=segmentor_with_auxiliary_head,
    pose_estimator=toy_pose_estimator,
    hrnet_pose=hrnet_pose,
    detector=frozen_detector,
)
_PACKAGES = dict(
    segmentor='mmseg',
    pose_estimator='mmpose',
    hrnet_pose='mmpose',
    detector='mmdet',
)


@pytest.fixture(scope='session')
def network_names() -> list[str]:
    return list(SPECS)


@pytest.fixture
def masked() -> Callable[..., nn.Module]:
    """Build the network of a name, with random masks and norms."""

    def build(
        name: str, dtype: torch.dtype = torch.float32, **kwargs: Any
    ) -> nn.Module:
        pytest.importorskip(_PACKAGES.get(name, 'mmpretrain'))
        torch.manual_seed(0)
        network = build_network(SPECS[name]())
        return mask_at_random(network, **kwargs).to(dtype).eval()

    return build
