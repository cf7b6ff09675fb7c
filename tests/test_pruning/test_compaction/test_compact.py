"""Compact networks give the outputs of the masked ones."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning import compact, coupled_groups, mask_coupled
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.forward import (
    choose_forward,
    example_inputs,
    tensors,
)
from mmkd.pruning.compaction.verify import relative_error

NAMES = [
    'resnet18',
    'resnet50',
    'resnet50_d',
    'cifar_conv',
    'cifar_pad',
    'cifar_bottleneck',
    'vgg',
    'vgg_without_norm',
    'mobilenet_v2',
    'densenet',
    'segmentor',
    'pose_estimator',
    'hrnet_pose',
    'detector',
]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def test_all_networks_are_tested(network_names):
    assert network_names == NAMES


@torch.no_grad()
def largest_error(one, two, shape=(3, 3, 64, 64)):
    inputs = example_inputs(one, shape)
    forward, left_out = choose_forward(one, inputs)
    assert not left_out
    return max(
        relative_error(a, b)
        for a, b in zip(
            tensors(forward(one, inputs)),
            tensors(forward(two, inputs)),
            strict=True,
        )
    )


def cases():
    for name in NAMES:
        for residual, dtype in (
            ('keep', torch.float32),
            ('keep', torch.float64),
            ('scatter', torch.float64),
        ):
            wide = name.startswith('vgg')  # has no argument for its width
            marks = [pytest.mark.slow] * (wide and dtype == torch.float64)
            yield pytest.param(name, residual, dtype, marks=marks)


@pytest.mark.parametrize(('name', 'residual', 'dtype'), cases())
def test_outputs_are_equal(masked, name, residual, dtype):
    network = masked(name, dtype)
    before = copy.deepcopy(network.state_dict())
    small, _, report = compact(network, (3, 64, 64), residual=residual)
    for shape in ((1, 3, 64, 64), (3, 3, 96, 64)):
        assert largest_error(network, small, shape) <= TOLERANCE[dtype]
    assert report.parameters[1] < 0.95 * report.parameters[0]
    assert report.max_error <= TOLERANCE[dtype]
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])  # the masked one is untouched


@pytest.mark.parametrize('name', ['resnet18', 'mobilenet_v2'])
def test_equal_with_other_masks_and_rates(masked, name):
    for seed, rate in ((1, 0.1), (2, 0.5), (3, 0.7)):
        network = masked(name, torch.float64, seed=seed, rate=rate)
        small, _, _ = compact(network, (3, 64, 64))
        assert largest_error(network, small) <= 1e-10


@pytest.mark.parametrize('name', ['resnet18', 'resnet50'])
def test_rules_alone_cover_the_blocks(masked, name):
    network = masked(name)
    small, plan, _ = compact(network, (3, 64, 64), trace=False)
    assert largest_error(network, small) <= 1e-5
    inner = [n for n in plan['modules'] if n.endswith(('.conv1', '.bn1'))]
    blocks = {'resnet18': 8, 'resnet50': 16}[name]
    assert len(inner) == 2 * blocks


def test_rules_and_tracer_agree(masked, monkeypatch):
    for name in ('resnet18', 'cifar_bottleneck', 'mobilenet_v2'):
        network = masked(name)
        with_rules = compact(network, (3, 64, 64))[1]
        with monkeypatch.context() as patch:
            patch.setattr('mmkd.pruning.compaction.rules.RULES', {})
            without = compact(network, (3, 64, 64))[1]
        assert with_rules['modules'] == without['modules']


def test_dropping_constants_is_wrong(masked, monkeypatch):
    network = masked('resnet18')
    monkeypatch.setattr(
        'mmkd.pruning.compaction.compactor.fold_constants', lambda *_: set()
    )
    with pytest.raises(RuntimeError, match=r'first layer that differs: "'):
        compact(network, (3, 64, 64))


def test_bias_fold_under_zero_padding_is_wrong(masked, monkeypatch):
    monkeypatch.setattr(
        'mmkd.pruning.compaction.graph.pads_zeros', lambda _: False
    )
    with pytest.raises(RuntimeError, match='not the masked one'):
        compact(masked('resnet18'), (3, 64, 64))


def test_only_carriers_are_zero(masked):
    small, plan, _ = compact(masked('vgg'), (3, 64, 64))
    convs = [n for n, m in small.named_modules() if isinstance(m, _ConvNd)]
    assert len(convs) == 8
    for name in convs:
        entry = plan['modules'][name]
        left = zero_filters(small.get_submodule(name)).nonzero().flatten()
        kept = [entry['keep_out'][i] for i in left.tolist()]
        assert kept == entry['carriers']
        assert len(left) <= 1


def test_no_carrier_without_constants(masked):
    network = masked('resnet18')
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.zero_()
            module.bias.data.zero_()
    network.backbone.bn1.weight.data.fill_(1)
    _, plan, _ = compact(network, (3, 64, 64))
    for stage in range(1, 5):
        name = f'backbone.layer{stage}.1.conv1'
        zero = int(zero_filters(network.get_submodule(name)).sum())
        width = network.get_submodule(name).out_channels
        assert plan['modules'][name]['out_channels'] == [width, width - zero]
        assert plan['modules'][name]['carriers'] == []


def test_one_by_one_convolutions_need_no_carrier(masked):
    network = masked('resnet50')
    _, plan, _ = compact(network, (3, 64, 64))
    entries = plan['modules']
    for block in ('layer1.0', 'layer3.2'):
        conv2 = entries[f'backbone.{block}.conv2']
        assert conv2['carriers'] == []
        zero = int(
            zero_filters(network.get_submodule(f'backbone.{block}.conv2'))
            .sum()
            .item()
        )
        assert conv2['out_channels'][0] - conv2['out_channels'][1] == zero


@pytest.mark.parametrize('divisor', [4, 8])
def test_divisor(masked, divisor):
    network = masked('vgg')
    small, plan, report = compact(network, (3, 64, 64), divisor=divisor)
    assert report.removed
    for name in report.removed:
        assert plan['modules'][name]['out_channels'][1] % divisor == 0
    assert largest_error(network, small) <= 1e-5


def test_compacting_twice_changes_nothing(masked):
    small, _, _ = compact(masked('resnet18'), (3, 64, 64))
    again, plan, _ = compact(small, (3, 64, 64), allow_dense=True)
    assert plan['modules'] == {}
    for key, value in small.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])


def test_dense_network_stays_as_it_is(masked):
    network = masked('resnet18', rate=0.0)
    small, plan, report = compact(network, (3, 64, 64), allow_dense=True)
    assert (plan['modules'], plan['skipped']) == ({}, {})
    assert list(small.state_dict()) == list(network.state_dict())
    assert largest_error(network, small) == 0
    assert report.parameters[0] == report.parameters[1]


def test_frozen_stages_are_cut_too(masked):
    network = masked('detector')
    assert not network.backbone.layer1[0].conv1.weight.requires_grad
    small, plan, _ = compact(network, (3, 64, 64))
    assert 'backbone.layer1.0.conv1' in plan['modules']
    assert not small.backbone.layer1[0].conv1.weight.requires_grad


def test_group_norm_is_kept_and_reported(masked):
    _, plan, _ = compact(masked('detector'), (3, 64, 64))
    reason = plan['skipped']['bbox_head.cls_convs.0.conv']['reason']
    assert 'GroupNorm' in reason
    assert 'bbox_head.cls_convs.0.gn' in reason


def test_auxiliary_heads_are_cut_too(masked):
    network = masked('segmentor', rate=0.0)
    groups = coupled_groups(network, (3, 64, 64))
    mask_coupled(network, groups, 0.3)
    small, plan, _ = compact(network, (3, 64, 64))
    entry = plan['modules']['auxiliary_head.convs.0.conv']
    assert entry['in_channels'] == [32, 32 - 9]
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        one = network.auxiliary_head(network.extract_feat(images))
        two = small.auxiliary_head(small.extract_feat(images))
    assert relative_error(one, two) <= 1e-5


def test_sync_batch_norm_becomes_batch_norm(masked):
    network = masked('resnet18')
    plain, _, _ = compact(network, (3, 64, 64))
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(network))
    small, _, _ = compact(sync, (3, 64, 64))
    kinds = {type(m) for m in small.modules()}
    assert nn.SyncBatchNorm not in kinds
    assert largest_error(plain, small) == 0


def test_all_filters_of_a_layer_zero(masked):
    network = masked('resnet18')
    conv = network.backbone.layer2[1].conv1
    conv.weight.data.zero_()
    small, _, report = compact(network, (3, 64, 64))
    assert small.backbone.layer2[1].conv1.out_channels == 1
    assert largest_error(network, small) <= 1e-5
    assert report.emptied in ([], ['backbone.layer2.1.conv1'])


def test_half_precision_weights(masked):
    network = masked('cifar_conv', torch.bfloat16)
    _, _, report = compact(network, (3, 32, 32))
    assert report.max_error <= 2e-2


def test_scatter_leaves_no_zero_filter(masked):
    small, _, report = compact(
        masked('resnet18'), (3, 64, 64), residual='scatter'
    )
    kept, _, _ = compact(masked('resnet18'), (3, 64, 64))
    count = [sum(p.numel() for p in n.parameters()) for n in (small, kept)]
    assert count[0] < count[1]
    assert report.skipped == {}


def test_training_mode_is_refused(masked):
    network = masked('resnet18')
    network.backbone.layer1.train()
    with pytest.raises(ValueError, match=r'training mode .*model\.eval\(\)'):
        compact(network, (3, 64, 64))


def test_network_without_zero_filters_is_refused(masked):
    network = masked('resnet18', rate=0.0)
    smallest = min(
        float(m.weight.detach().flatten(1).norm(dim=1).min())
        for m in network.modules()
        if isinstance(m, nn.Conv2d)
    )
    with pytest.raises(ValueError, match='no filter .* is zero') as error:
        compact(network, (3, 64, 64))
    assert f'{smallest:.3g}' in str(error.value)


def test_tiny_filters_are_refused(masked):
    network = masked('resnet18')
    conv = network.backbone.layer1[0].conv1
    conv.weight.data[3] = 1e-7
    with pytest.raises(ValueError, match='tiny but not zero') as error:
        compact(network, (3, 64, 64))
    assert 'backbone.layer1.0.conv1' in str(error.value)
    small, _, _ = compact(network, (3, 64, 64), allow_tiny=True)
    assert largest_error(network, small) <= 1e-5


def test_nothing_that_can_be_removed(masked):
    network = masked('resnet18', rate=0.0)
    network.backbone.layer1[0].conv2.weight.data[0] = 0
    with pytest.raises(ValueError, match='residual stream') as error:
        compact(network, (3, 64, 64))
    assert 'backbone.layer1.0.conv2: 1 zero filters' in str(error.value)
    small, _, _ = compact(network, (3, 64, 64), residual='scatter')
    assert small.backbone.layer1[0].conv2.out_channels == 7


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(residual='drop'), "residual='drop'"),
        (dict(divisor=0), 'divisor=0'),
        (dict(inputs=(4, 64, 64)), 'does not run on inputs'),
    ],
)
def test_bad_arguments(masked, arguments, words):
    arguments = {'inputs': (3, 64, 64), **arguments}
    with pytest.raises(ValueError, match=words):
        compact(masked('resnet18'), **arguments)
