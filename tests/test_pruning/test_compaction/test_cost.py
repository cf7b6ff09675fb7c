"""Multiply-adds and times."""

from __future__ import annotations

import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from torch import nn

from mmkd.pruning import compact
from mmkd.pruning.compaction.cost import count_flops, cpu_times, layer_macs
from mmkd.pruning.compaction.forward import whole
from tests.support.masked_networks import mask_at_random


def test_flops_are_those_of_mmengine(masked):
    network = masked('resnet18')
    inputs = torch.randn(1, 3, 64, 64)
    expected = get_model_complexity_info(
        network, inputs=(inputs,), show_table=False, show_arch=False
    )['flops']
    assert count_flops(network, inputs, whole) == expected


def fails(network, images):
    network.backbone(images)
    raise RuntimeError('this head does not run')


def test_the_network_stays_as_it_is(masked):
    network = masked('resnet18').train()
    network.backbone.layer1.eval()
    modes = [module.training for module in network.modules()]
    before = {k: v.clone() for k, v in network.state_dict().items()}
    inputs = torch.randn(1, 3, 64, 64)
    assert count_flops(network, inputs, whole) > 0
    assert layer_macs(network, inputs, whole)
    with pytest.raises(RuntimeError, match='does not run'):
        layer_macs(network, inputs, fails)
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_cost_follows_from_the_plan(masked):
    network = masked('resnet18')
    small, plan, report = compact(network, (3, 64, 64))
    inputs = torch.randn(1, 3, 64, 64)
    before = layer_macs(network, inputs, whole)
    after = layer_macs(small, inputs, whole)
    parameters = report.parameters[0]
    for name, macs in before.items():
        layer = network.get_submodule(name)
        entry = plan['modules'].get(name, {})
        share = 1.0
        for key in ('in_channels', 'out_channels'):
            old, new = entry.get(key, (1, 1))
            share *= new / old
        assert after[name] == pytest.approx(share * macs)
        parameters -= round((1 - share) * layer.weight.numel())
    for name, entry in plan['modules'].items():
        if isinstance(network.get_submodule(name), nn.BatchNorm2d):
            old, new = entry['out_channels']
            parameters -= 2 * (old - new)
    assert parameters == report.parameters[1]
    saved = 1 - count_flops(small, inputs, whole) / count_flops(
        network, inputs, whole
    )
    assert 0 < saved < report.analytic  # the papers count too much


def test_papers_way_of_counting():
    """ResNet-20 at 30 % with whole filters: 39.0 %; published 42.2 %."""
    pytest.importorskip('mmpretrain')
    from mmkd import networks

    network = networks.build_network(
        dict(
            type='ImageClassifier',
            _scope_='mmpretrain',
            backbone=dict(type='mmkd.CIFARResNet', depth=20, shortcut='pad'),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=10, in_channels=64),
        )
    )
    mask_at_random(network, 0.3)
    report = compact(network, (3, 32, 32))[2]
    assert report.analytic == pytest.approx(0.390, abs=5e-4)


def test_times_are_taken_in_turns():
    calls = []

    class Counted(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            calls.append(self.name)
            return x

    networks = {name: Counted(name) for name in 'ab'}
    times = cpu_times(networks, torch.ones(1), whole, rounds=3)
    assert calls == ['a', 'b'] * 4
    assert all(0 <= value < 1 for value in times.values())
