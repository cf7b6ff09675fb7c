"""Names of stages become module paths, of real backbones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mmkd.models.cohorts.stages import (
    check_prefix,
    module_paths,
    stage_groups,
)
from mmkd.networks import build_network
from mmkd.toys import toy_network


def classifier(**backbone: Any) -> nn.Module:
    return build_network(
        dict(type='ImageClassifier', _scope_='mmpretrain', backbone=backbone)
    )


BACKBONES: dict[str, dict[str, Any]] = dict(
    resnet=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
    resnet_deep=dict(
        type='ResNetV1d', depth=50, base_channels=4, stem_channels=4
    ),
    seresnet=dict(type='SEResNet', depth=50),
    vgg=dict(type='VGG', depth=11, norm_cfg=dict(type='BN')),
    densenet=dict(type='DenseNet', arch='121'),
    mobilenet=dict(type='MobileNetV2', widen_factor=0.25),
    shufflenet=dict(type='ShuffleNetV2', widen_factor=0.5),
    cifar=dict(type='mmkd.CIFARResNet', depth=20),
    cifar_wide=dict(type='mmkd.CIFARWideResNet', depth=16, widen_factor=1),
    cifar_dense=dict(type='mmkd.CIFARDenseNet', depth=10),
    cifar_vgg=dict(type='mmkd.CIFARVGG', depth=8),
    cifar_mobilenet=dict(type='mmkd.CIFARMobileNetV2'),
    cifar_shuffle=dict(type='mmkd.CIFARShuffleNetV2', widen_factor=0.5),
)


@pytest.mark.parametrize('name', BACKBONES)
def test_stages_are_a_prefix_in_forward_order(name: str) -> None:
    """Run in the order of the groups, nothing of a later one comes first."""
    network = classifier(**BACKBONES[name]).eval().to('meta')
    groups = stage_groups(network.backbone)
    assert len(groups) >= 4
    names = ['stem', *(f'stage{k}' for k in range(1, len(groups)))]
    paths = module_paths(network, names)
    assert len(set(paths)) == len(paths)
    ran: list[int] = []
    for index, path in enumerate(paths):
        network.get_submodule(path).register_forward_hook(
            lambda *_, index=index: ran.append(index)
        )
    with torch.no_grad():
        network(torch.empty(1, 3, 64, 64, device='meta'), mode='tensor')
    unique = list(dict.fromkeys(ran))
    assert unique == sorted(unique)
    assert set(unique) == set(range(len(paths)))


def test_module_paths_pass_through() -> None:
    network = build_network(toy_network('classification', 4))
    given = ['backbone.conv1', 'backbone.layer1.0']
    assert module_paths(network, given) == given
    assert module_paths(network, ['stem', 'stage1']) == [
        'backbone.conv1',
        'backbone.bn1',
        'backbone.relu',
        'backbone.maxpool',
        'backbone.layer1',
    ]


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        (['stem', 'stage2'], 'stage2 is shared but stage1 is not.*"stage1"'),
        (['stage1'], 'stage1 is shared but stem is not.*add "stem"'),
    ],
)
def test_gaps_are_refused(names: list[str], words: str) -> None:
    network = build_network(toy_network('classification', 4))
    with pytest.raises(ValueError, match=words):
        check_prefix(network, names)


def test_stages_that_do_not_exist_are_refused() -> None:
    network = build_network(toy_network('classification', 4))
    with pytest.raises(ValueError, match='names stage5.*ResNet has 4 stages'):
        module_paths(network, ['stem', 'stage5'])


def test_unknown_backbones_are_given_by_module_paths() -> None:
    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.entry = nn.Conv2d(3, 4, 3)

    network = nn.Module()
    network.backbone = Backbone()
    with pytest.raises(ValueError, match=r"paths instead.*'backbone\.entry'"):
        module_paths(network, ['stem'])
    assert module_paths(network, ['backbone.entry']) == ['backbone.entry']
