"""Coupled masks: every zero filter of a residual network goes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.pruning import compact, coupled_groups, mask_coupled
from mmkd.pruning.compaction.constants import zero_filters

SHAPE = (3, 64, 64)


@pytest.mark.parametrize(
    'name',
    ['resnet18', 'resnet50', 'mobilenet_v2', 'cifar_pad'],
)
def test_nothing_is_left(masked, name):
    network = masked(name, torch.float64, rate=0.0)
    mask_coupled(network, coupled_groups(network, SHAPE), 0.5)
    small, plan, report = compact(network, SHAPE)
    assert report.max_error <= 1e-10
    assert plan['skipped'] == {}
    for module in small.modules():
        if isinstance(module, nn.Conv2d):
            assert not zero_filters(module).any()
    independent = compact(masked(name, rate=0.5), SHAPE)[2]
    assert report.parameters[1] < independent.parameters[1]


def test_groups_of_a_residual_network(masked):
    groups = coupled_groups(masked('resnet18', rate=0.0), SHAPE)
    members = {
        frozenset(name.removeprefix('backbone.') for name in group.convs)
        for group in groups
    }
    for together in (
        {'layer2.0.conv1'},
        {'conv1', 'layer1.0.conv2', 'layer1.1.conv2'},
        {'layer2.0.conv2', 'layer2.0.downsample.0', 'layer2.1.conv2'},
    ):
        assert frozenset(together) in members
    assert all(group.norms for group in groups)


def test_shortcuts_that_append_zero_channels(masked):
    groups = {
        frozenset(group.convs): group
        for group in coupled_groups(masked('cifar_pad', rate=0.0), SHAPE)
    }
    stage1 = {'backbone.conv1', 'backbone.layer1.0.conv2'}
    stage2, stage3 = 'backbone.layer2.0.conv2', 'backbone.layer3.0.conv2'
    shared = groups[frozenset({*stage1, stage2, stage3})]
    added = groups[frozenset({stage2, stage3})]
    alone = groups[frozenset({stage3})]
    assert [g.size for g in (shared, added, alone)] == [16, 16, 32]
    assert shared.convs[stage2].tolist() == [*range(16), *[-1] * 16]
    assert added.convs[stage3].tolist() == (
        [-1] * 16 + [*range(16)] + [-1] * 32
    )


def test_score_is_the_sum_over_the_group(masked):
    network = masked('resnet18', rate=0.0)
    (stream,) = (
        group
        for group in coupled_groups(network, SHAPE)
        if 'backbone.conv1' in group.convs
    )
    convs = [network.get_submodule(name) for name in stream.convs]
    scores = sum(
        conv.weight.detach().square().sum((1, 2, 3)) for conv in convs
    )
    mask_coupled(network, [stream], 0.25)
    weakest = scores.argsort()[:2].sort().values.tolist()
    for conv in convs:
        assert zero_filters(conv).nonzero().flatten().tolist() == weakest
    for name in stream.norms:
        norm = network.get_submodule(name)
        assert (norm.weight == 0).nonzero().flatten().tolist() == weakest
        assert (norm.bias == 0).nonzero().flatten().tolist() == weakest


def test_outputs_are_in_no_group(masked):
    network = masked('detector', rate=0.0)
    names = {
        name
        for group in coupled_groups(network, SHAPE)
        for name in group.convs
    }
    assert 'bbox_head.conv_cls' not in names
    assert 'backbone.layer3.0.conv1' in names


def test_rate_is_checked(masked):
    with pytest.raises(ValueError, match='rate=1'):
        mask_coupled(masked('resnet18'), [], 1)
