"""The pruning hook with ``coupled=True``: layers lose the same channels."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.engine.hooks import SoftFilterPruningHook
from mmkd.pruning import METHODS, compact
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.toys import toy_network
from tests.references import pruning as reference
from tests.support.pruning_runner import (
    Net,
    Record,
    Stop,
    make_runner,
    random_batches,
)
from tests.support.toy_cohort import cohort_config
from tests.support.toy_runner import make_runner as make_real_runner

# layers that add to the same channels, and the norms behind them
GROUPS = ((('conv0',), ('norm0',)), (('conv1', 'conv2'), ('norm1', 'norm2')))


def hook(**options: Any) -> dict[str, Any]:
    return dict(
        dict(pruning_rate=0.5, coupled=True, input_shape=(3, 7, 7)), **options
    )


def run(work_dir: Any, options: dict[str, Any], **changes: Any) -> Record:
    record = Record(changes.pop('stop_after', None))
    hooks = [*changes.pop('hooks', ()), record]
    runner = make_runner(work_dir, options, hooks=hooks, **changes)
    with suppress(Stop):
        runner.train()
    record.runner = runner
    return record


def by_hand(method: str, target: float, epochs: int) -> Net:
    """Train with loops over filters and a plain optimizer."""
    torch.manual_seed(0)
    net, data = Net(), random_batches(epochs)
    sgd = torch.optim.SGD(
        net.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4
    )
    hard: dict[str, list[int]] = {}
    grows = method in ('asfp', 'asrfp', 'ghfp')
    for t in range(epochs):
        for k in range(2):
            sgd.zero_grad()
            net(data.inputs[t, k], data.labels[t, k])['loss'].backward()
            for name, rows in hard.items():
                net.get_parameter(f'{name}.weight').grad[rows] = 0
            sgd.step()
        rate = reference.rate(t, epochs, target) if grows else target
        alpha = 0.0
        if method in ('srfp', 'asrfp'):
            alpha = reference.alpha(t, epochs, 1.0, 1e-5)
        ratio = reference.hard_ratio(t, epochs) if method == 'ghfp' else 0.0
        for convs, norms in GROUPS:
            weights = [net.get_parameter(f'{n}.weight').data for n in convs]
            size = len(weights[0])
            scores = [
                sum(float(w[j].square().sum()) for w in weights)
                for j in range(size)
            ]
            order = sorted(range(size), key=lambda j: scores[j])
            pruned = order[: int(size * rate + 1e-6)]
            for name in convs:
                hard[name] = order[: int(size * rate * ratio + 1e-6)]
            for j in pruned:
                for weight in weights:
                    weight[j] *= alpha if alpha >= 1e-4 else 0
                for name in norms:
                    norm = net.get_submodule(name)
                    norm.weight.data[j] *= alpha
                    norm.bias.data[j] *= alpha
    return net


@pytest.mark.parametrize('method', METHODS)
def test_methods_against_training_by_hand(tmp_path, method) -> None:
    found = run(tmp_path, hook(method=method)).after[4]
    for name, value in by_hand(method, 0.5, 5).state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-9)
    for _, norms in GROUPS:
        for name in norms:
            zero = found[f'{name}.weight'] == 0
            assert int(zero.sum()) == len(zero) // 2
            assert not found[f'{name}.bias'][zero].any()


@pytest.mark.parametrize('method', ['asrfp', 'ghfp'])
def test_resuming_is_exact(tmp_path, method) -> None:
    options = hook(method=method)
    whole = run(tmp_path / 'whole', options)
    run(tmp_path / 'part', options, stop_after=3)
    rest = run(tmp_path / 'part', options, resume=True)
    assert sorted(rest.after) == [3, 4]
    for name, value in whole.after[4].items():
        assert torch.equal(rest.after[4][name], value)


def test_averaged_weights_lose_the_same_channels(tmp_path) -> None:
    ema = dict(type='EMAHook', momentum=0.3)
    found = run(tmp_path, hook(method='asfp'), hooks=[ema], validate=True)
    (average,) = (
        part.ema_model.module
        for part in found.runner.hooks
        if hasattr(part, 'ema_model')
    )
    own = found.runner.model.state_dict()
    for name, value in average.state_dict().items():
        if 'conv' in name or name in ('norm1.weight', 'norm1.bias'):
            zero, other = (
                v.flatten(1 - (v.ndim < 2)) == 0 for v in (value, own[name])
            )
            assert torch.equal(zero, other) and zero.any()


def check_nothing_is_left(network: nn.Module) -> None:
    zeros = sum(
        int(zero_filters(m).sum())
        for m in network.modules()
        if isinstance(m, nn.Conv2d)
    )
    small, plan, report = compact(network.eval(), (3, 32, 32))
    assert report.max_error <= 1e-5
    assert plan['skipped'] == {}
    assert sum(report.removed.values()) == zeros > 0
    for module in small.modules():
        if isinstance(module, nn.Conv2d):
            assert not zero_filters(module).any()


def train_coupled(folder: Path, model: dict, method: str):
    runner = make_real_runner(
        str(folder),
        model,
        'classification',
        by_epoch=True,
        steps=6,
        hooks=[
            dict(
                type='mmkd.SoftFilterPruningHook',
                **hook(method=method, input_shape=(3, 32, 32)),
            )
        ],
    )
    runner.train()
    return runner


@pytest.mark.parametrize('shortcut', ['conv', 'pad'])
def test_every_zero_filter_can_be_removed(tmp_path, shortcut) -> None:
    pytest.importorskip('mmpretrain')
    model = toy_network('classification', 4)
    model['backbone'] = dict(
        type='mmkd.CIFARResNet',
        depth=8,
        stem_channels=8,
        base_channels=8,
        shortcut=shortcut,
    )
    model['head']['in_channels'] = 32
    runner = train_coupled(tmp_path, model, 'asrfp')
    check_nothing_is_left(runner.model)


@pytest.mark.slow
def test_peers_with_a_shared_layer(tmp_path: Path) -> None:
    pytest.importorskip('mmpretrain')
    model = cohort_config(cohort=dict(shared=['backbone.conv1']))
    runner = train_coupled(tmp_path, model, 'sfp')
    for peer in runner.model.cohort.peers:
        check_nothing_is_left(peer)


def test_layers_that_cannot_be_followed_are_left_out(tmp_path, caplog) -> None:
    net = Net()
    net.norm2 = nn.GroupNorm(2, 10).double()
    runner = make_runner(tmp_path, hook(), model=net, log_level='WARNING')
    runner.logger.addHandler(caplog.handler)
    runner.train()
    (message,) = (
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING
        and 'leaves out' in record.getMessage()
    )
    assert 'conv1 (' in message and 'conv2 (' in message
    assert 'norm2 (GroupNorm)' in message and 'conv0' not in message
    counts = [int(zero_filters(getattr(net, n)).sum()) for n in GROUPS[1][0]]
    assert counts == [0, 0] and int(zero_filters(net.conv0).sum()) == 3


def test_frozen_norms_keep_their_group(tmp_path) -> None:
    net = Net()
    net.norm2.requires_grad_(False)
    found = run(tmp_path, hook(), model=net)
    assert not zero_filters(net.conv1).any()
    assert int(zero_filters(net.conv0).sum()) == 3
    for name in ('norm2.weight', 'norm2.bias'):
        assert torch.equal(found.after[4][name], Net().state_dict()[name])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(layer_rates={'conv2': 0.1}), 'conv1 0.5, conv2 0.1.*pattern fo'),
        (dict(include=['conv2']), 'conv2: shares channels with conv1, which'),
        (dict(input_shape=(4, 7, 7)), r'input_shape=\(C, H, W\) of the pruni'),
    ],
)
def test_runs_that_cannot_be_coupled(tmp_path, options, message) -> None:
    runner = make_runner(tmp_path, hook(**options))
    with pytest.raises(ValueError, match=message):
        runner.train()


def test_single_weights_cannot_be_coupled() -> None:
    with pytest.raises(ValueError, match="granularity='filter' or coupled=F"):
        SoftFilterPruningHook(coupled=True, granularity='weight')


def test_shortcuts_count_unless_excluded_by_name() -> None:
    exclude = ['downsample', 'shortcut', 'conv1']
    assert SoftFilterPruningHook(coupled=True).settings.choice.excluded == []
    taken = SoftFilterPruningHook(coupled=True, exclude=exclude)
    assert taken.settings.choice.excluded == ['conv1']
