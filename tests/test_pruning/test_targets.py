"""Which layers are pruned."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmkd.pruning import find_norm, find_targets, zero_counts
from mmkd.toys import TASKS, toy_network
from tests.support.toy_cohort import build_cohort
from tests.support.toy_runner import SCOPES


def build(config, scope: str = 'mmpretrain') -> nn.Module:
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(config)


def names(model: nn.Module, **options) -> list[str]:
    return [t.name for t in find_targets(model, 0.3, **options)]


# depth -> 1x1 projections and convolutions that are pruned, as published
IMAGENET = {18: (3, 17), 34: (3, 33), 50: (4, 49), 101: (4, 100)}
CIFAR = {20: 19, 32: 31, 56: 55, 110: 109}


@pytest.mark.parametrize('depth', IMAGENET)
def test_imagenet_resnets(depth: int) -> None:
    pytest.importorskip('mmpretrain')
    backbone = dict(type='ResNet', depth=depth, norm_cfg=dict(type='BN'))
    head = dict(type='LinearClsHead', num_classes=5, in_channels=2048)
    model = build(dict(type='ImageClassifier', backbone=backbone, head=head))
    found = names(model)
    convs = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    left_out = sorted(set(convs) - set(found))
    assert found[0] == 'backbone.conv1'
    assert all(name.endswith('downsample.0') for name in left_out)
    assert (len(left_out), len(found)) == IMAGENET[depth]
    for name in found:
        number = name[-1]
        assert find_norm(model, name) is model.get_submodule(
            f'{name[:-5]}bn{number}'
        )


@pytest.mark.parametrize('depth', CIFAR)
@pytest.mark.parametrize('shortcut', ['pad', 'conv'])
def test_cifar_resnets(depth: int, shortcut: str) -> None:
    pytest.importorskip('mmpretrain')
    backbone = dict(type='mmkd.CIFARResNet', depth=depth, shortcut=shortcut)
    model = build(dict(type='ImageClassifier', backbone=backbone))
    assert len(names(model)) == CIFAR[depth]


@pytest.mark.parametrize('task', TASKS)
def test_backbones_of_every_task(task: str) -> None:
    pytest.importorskip(SCOPES[task])
    model = build(toy_network(task, 4), SCOPES[task])
    found = names(model)
    assert len(found) == 17
    assert {name.split('.')[0] for name in found} == {'backbone'}
    everything = names(model, include=[''], exclude=[])
    assert len(everything) > len(found)


def test_backbones_inside_a_cohort_shared_layers_once() -> None:
    pytest.importorskip('mmpretrain')
    separate = build_cohort()
    assert len(names(separate)) == 2 * 17
    model = build_cohort(
        cohort=dict(
            shared=['backbone.conv1', 'backbone.bn1', 'backbone.layer1']
        )
    )
    found = names(model)
    assert len(found) == 2 * 17 - 5
    assert found[0] == 'cohort.peers.0.backbone.conv1'
    assert 'cohort.peers.1.backbone.conv1' not in found
    assert 'cohort.peers.1.backbone.layer2.0.conv1' in found


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, groups=6)
        )
        self.backbone.add_module('last', nn.Conv2d(6, 4, 1))
        self.head = nn.Conv2d(4, 2, 1)
        self.up = nn.ConvTranspose2d(2, 2, 2)


def test_rules_and_patterns() -> None:
    model = Small()
    assert names(model) == ['backbone.0', 'backbone.last']
    assert names(model, include=['head', 'last']) == ['backbone.last', 'head']
    assert names(model, include='head') == ['head']
    assert names(model, exclude='last') == ['backbone.0']
    assert names(model, include=['backbone', 'up'], exclude=[r'\.2$']) == [
        'backbone.0',
        'backbone.last',
    ]


def test_frozen_and_tied_layers() -> None:
    model = Small()
    model.backbone[0].weight.requires_grad = False
    assert names(model) == ['backbone.last']
    model.backbone.last.weight = nn.Parameter(torch.ones(2, 4, 1, 1))
    model.head.weight = model.backbone.last.weight
    assert names(model, include=['last', 'head']) == ['backbone.last']
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(ValueError, match=r'4 convolutions \(3 of those that'):
        find_targets(model, 0.3)


def test_rates_of_layers_the_first_pattern_counts() -> None:
    rates = {'last': 0.5, 'backbone': 0.1}
    targets = find_targets(Small(), 0.3, layer_rates=rates)
    assert [t.rate for t in targets] == [0.1, 0.5]
    targets = find_targets(Small(), 0.3, layer_rates={'last': 0.0})
    assert [t.rate for t in targets] == [0.3, 0.0]


def test_grouped_convolutions_are_named() -> None:
    with pytest.raises(ValueError, match=r'backbone\.2 has 6 groups'):
        find_targets(Small(), 0.3, include=['backbone'])
    found = find_targets(
        Small(), 0.3, include=['backbone'], granularity='weight'
    )
    assert len(found) == 3


def test_batch_norm_of_a_convolution() -> None:
    model = Small()
    assert find_norm(model, 'backbone.0') is model.backbone[1]
    with pytest.raises(ValueError, match=r'backbone\.last has no batch norm'):
        find_norm(model, 'backbone.last')


def test_zero_counts() -> None:
    model = Small()
    model.backbone[0].weight.data[:2] = 0
    model.backbone[0].weight.data[3, 0] = 0
    targets = find_targets(model, 0.3)
    assert zero_counts(targets) == [(2, 6), (0, 4)]
    assert zero_counts(targets, 'weight') == [(63, 162), (0, 24)]
