"""The pruning hook in trainings of a small network."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import load_checkpoint
from torch import nn

from mmkd.pruning import METHODS, recalibrate_batch_norm
from tests.references import pruning as reference
from tests.support.pruning_runner import (
    CONVS,
    Net,
    Record,
    Stop,
    make_runner,
    random_batches,
    zero_filters,
)

COUNTS = (6, 10, 10)


def run(work_dir: Any, hook: dict[str, Any], **changes: Any) -> Any:
    stop_after = changes.pop('stop_after', None)
    record = Record(stop_after)
    hooks = [*changes.pop('hooks', ()), record]
    runner = make_runner(work_dir, hook, hooks=hooks, **changes)
    try:
        runner.train()
    except Stop:
        assert stop_after is not None
    record.runner = runner
    return record


def by_hand(
    method: str,
    target: float,
    epochs: int,
    *,
    weights: bool = False,
    bn: bool = False,
    premask: bool = False,
) -> tuple[Net, list[float]]:
    """Train with the formulas of the reference and a plain optimizer."""
    torch.manual_seed(0)
    net, data = Net(), random_batches(epochs)
    sgd = torch.optim.SGD(
        net.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4
    )
    hard: dict[str, list[int]] = {name: [] for name in CONVS}
    losses = []

    def mask(t: int) -> None:
        rate = reference.rate(t, epochs, target)
        rate = rate if method in ('asfp', 'asrfp', 'ghfp') else target
        alpha = reference.alpha(t, epochs, 1.0, 1e-5)
        alpha = alpha if method in ('srfp', 'asrfp') else 0.0
        ratio = reference.hard_ratio(t, epochs) if method == 'ghfp' else 0.0
        for name in CONVS:
            weight = net.get_parameter(f'{name}.weight').data
            pruned = reference.pruned_filters(weight, rate)
            hard[name] = reference.pruned_filters(weight, rate * ratio)
            if weights:
                weight.copy_(reference.mask_weights(weight, rate, alpha))
                continue
            weight.copy_(reference.mask_filters(weight, rate, alpha, ratio))
            if bn:
                norm = net.get_submodule(name.replace('conv', 'norm'))
                norm.weight.data[pruned] *= alpha
                norm.bias.data[pruned] *= alpha

    if premask:
        mask(0)
    for t in range(epochs):
        for k in range(2):
            sgd.zero_grad()
            batch = dict(inputs=data.inputs[t, k], labels=data.labels[t, k])
            loss = net(**batch)['loss']
            loss.backward()
            for name, rows in hard.items():
                net.get_parameter(f'{name}.weight').grad[rows] = 0
            sgd.step()
            losses.append(float(loss.detach()))
        mask(t)
    return net, losses


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('premask', [False, True])
def test_methods_against_training_by_hand(tmp_path, method, premask) -> None:
    hook = dict(method=method, pruning_rate=0.5, mask_before_train=premask)
    found = run(tmp_path, hook)
    net, losses = by_hand(method, 0.5, 5, premask=premask)
    assert found.losses == pytest.approx(losses, abs=1e-9)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(
            found.after[4][name], value, rtol=0, atol=1e-9
        )
    assert zero_filters(net) == 3 + 5 + 5


@pytest.mark.parametrize('options', [dict(weights=True), dict(bn=True)])
def test_other_forms_against_training_by_hand(tmp_path, options) -> None:
    hook = dict(method='srfp', pruning_rate=0.4)
    if 'weights' in options:
        hook.update(granularity='weight')
    else:
        hook.update(mask_bn=True)
    found = run(tmp_path, hook)
    net, losses = by_hand('srfp', 0.4, 5, **options)
    assert found.losses == pytest.approx(losses, abs=1e-9)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(
            found.after[4][name], value, rtol=0, atol=1e-9
        )


def test_only_the_pruned_filters_change(tmp_path) -> None:
    class Before(Record):
        priority = 'NORMAL'

    before = Before()
    found = run(tmp_path, dict(method='sfp', pruning_rate=0.4), hooks=[before])
    for t in range(5):
        for name, value in found.after[t].items():
            old = before.after[t][name]
            if name.split('.')[0] not in CONVS:
                assert torch.equal(value, old)
                continue
            rows = reference.pruned_filters(old, 0.4)
            kept = sorted(set(range(len(old))) - set(rows))
            assert len(rows) == math.floor(0.4 * len(old))
            assert torch.equal(value[kept], old[kept])
            assert not value[rows].any() and old[rows].any()


def test_equal_methods(tmp_path) -> None:
    def weights(name: str, **hook: Any) -> dict[str, torch.Tensor]:
        return run(tmp_path / name, dict(pruning_rate=0.4, **hook)).after[4]

    def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return all(torch.equal(one[name], other[name]) for name in one)

    sfp = weights('sfp', method='sfp')
    assert same(weights('a0', method='srfp', decay=dict(alpha0=0)), sfp)
    asfp = weights('asfp', method='asfp')
    assert same(weights('soft', method='ghfp', hard_ratio=0.0), asfp)
    assert not same(weights('ghfp', method='ghfp'), asfp)
    assert not same(sfp, asfp)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('after', [1, 3])
def test_resuming_is_exact(tmp_path, method, after) -> None:
    hook = dict(
        method=method,
        pruning_rate=0.5,
        mask_before_train=True,
        decay=dict(alpha0=0.5) if method.endswith('rfp') else None,
    )
    whole = run(tmp_path / 'whole', hook)
    run(tmp_path / 'part', hook, stop_after=after)
    rest = run(tmp_path / 'part', hook, resume=True)
    assert sorted(rest.after) == list(range(after, 5))
    for t in rest.after:
        for name, value in whole.after[t].items():
            assert torch.equal(rest.after[t][name], value)
    one, other = (
        {
            key: buffer['momentum_buffer']
            for key, buffer in enumerate(
                record.runner.optim_wrapper.optimizer.state.values()
            )
        }
        for record in (whole, rest)
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_hard_filters_stay_zero_and_are_saved(tmp_path) -> None:
    hook = dict(method='ghfp', pruning_rate=0.5, mask_momentum=True)
    found = run(tmp_path, hook)
    saved = {}
    for t in range(5):
        checkpoint = torch.load(
            tmp_path / f'epoch_{t + 1}.pth', weights_only=False
        )
        saved[t] = checkpoint['mmkd_pruning']['hard']
        assert list(saved[t]) == [f'{name}.weight' for name in CONVS]
        for name, mask in saved[t].items():
            assert mask.dtype == torch.uint8
            rows = mask.flatten().bool()
            assert not checkpoint['state_dict'][name][rows].any()
            if t:
                assert (mask >= saved[t - 1][name]).all()
    counts = [int(mask.sum()) for mask in saved[4].values()]
    assert counts == [3, 5, 5]
    optimizer = found.runner.optim_wrapper.optimizer
    for name in CONVS:
        weight = found.runner.model.get_parameter(f'{name}.weight')
        rows = saved[4][f'{name}.weight'].flatten().bool()
        buffer = optimizer.state[weight]['momentum_buffer']
        assert not buffer[rows].any() and buffer[~rows].any()


def test_momentum_moves_hard_filters_unless_it_is_masked(tmp_path) -> None:
    class Moved(Hook):
        """Hard filters that differ from zero before the mask."""

        priority = 'NORMAL'
        count = 0

        def after_train_epoch(self, runner) -> None:
            for hook in runner.hooks:
                if not hasattr(hook, 'pruner'):
                    continue
                for name, hard in hook.pruner.hard.masks.items():
                    weight = runner.model.get_parameter(f'{name}.weight')
                    self.count += int(weight[hard.flatten()].any())

    for masked in (False, True):
        moved = Moved()
        hook = dict(method='ghfp', pruning_rate=0.5, mask_momentum=masked)
        run(tmp_path / str(masked), hook, hooks=[moved])
        assert (moved.count == 0) == masked


@pytest.mark.parametrize('method', ['sfp', 'asrfp'])
def test_validation_and_checkpoints_see_masked_weights(
    tmp_path, method
) -> None:
    checkpoint_hook = dict(
        type='CheckpointHook',
        interval=1,
        save_best='pruned/zeros',
        rule='greater',
    )
    found = run(
        tmp_path,
        dict(method=method, pruning_rate=0.5),
        epochs=20,
        validate=True,
        default_hooks=dict(checkpoint=checkpoint_hook),
    )
    final = {
        epoch
        for epoch, metrics in found.metrics.items()
        if math.isfinite(metrics['pruned/zeros'])
    }
    # ASRFP: the rate is final from 0.95 * 20 on
    assert final == (set(range(1, 21)) if method == 'sfp' else {20})
    for epoch, metrics in found.metrics.items():
        state = found.after[epoch - 1]
        torch.manual_seed(0)
        net = Net()
        load_checkpoint(net, str(tmp_path / f'epoch_{epoch}.pth'))
        for name, value in net.state_dict().items():
            assert torch.equal(value, state[name])
        assert metrics['zeros'] == zero_filters(net)
        if epoch in final:
            assert metrics['pruned/zeros'] == metrics['zeros'] == 13
            assert metrics['pruned/loss'] == metrics['loss']
        else:
            assert metrics['pruned/zeros'] == -math.inf
            assert metrics['pruned/loss'] == math.inf
    best = {path.name for path in tmp_path.glob('best_*.pth')}
    assert best == {f'best_pruned_zeros_epoch_{min(final)}.pth'}


def test_interval_of_epochs(tmp_path) -> None:
    hook = dict(method='sfp', pruning_rate=0.5, interval=3)
    found = run(tmp_path, hook, epochs=6, validate=True)
    zeros = [found.metrics[epoch]['zeros'] for epoch in range(1, 7)]
    assert [zeros[0], zeros[3], zeros[5]] == [13, 13, 13]
    assert max(zeros[1], zeros[2], zeros[4]) < 13
    finite = [
        math.isfinite(found.metrics[epoch]['pruned/zeros'])
        for epoch in range(1, 7)
    ]
    assert finite == [True, False, False, True, False, True]


class Watch(Hook):
    """Zero filters after every iteration."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.zeros: list[int] = []
        self.weights: list[torch.Tensor] = []

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ) -> None:
        self.zeros.append(zero_filters(runner.model))
        self.weights.append(runner.model.conv1.weight.detach().clone())


@pytest.mark.parametrize('method', ['sfp', 'ghfp', 'asrfp'])
def test_iterations_give_the_same_as_epochs(tmp_path, method) -> None:
    hook = dict(method=method, pruning_rate=0.5)
    epochs = run(tmp_path / 'epochs', hook).after
    watch = Watch()
    make_runner(
        tmp_path / 'iterations',
        dict(hook, by_epoch=False, interval=2),
        by_epoch=False,
        hooks=[watch],
    ).train()
    for t in range(5):
        expected = epochs[t]['conv1.weight']
        assert torch.equal(watch.weights[2 * t + 1], expected)


def test_iterations_left_over_end_with_a_mask(tmp_path) -> None:
    watch = Watch()
    hook = dict(method='srfp', pruning_rate=0.5, by_epoch=False, interval=4)
    make_runner(tmp_path, hook, by_epoch=False, hooks=[watch]).train()
    masked = [k + 1 for k, zeros in enumerate(watch.zeros) if zeros == 13]
    assert masked == [8, 10]  # T = 2: t = 0 damps by 1, then 8 and the last


def test_averaged_weights_are_masked_with_the_same_filters(tmp_path) -> None:
    found = run(
        tmp_path,
        dict(method='asfp', pruning_rate=0.5),
        validate=True,
        hooks=[dict(type='EMAHook', momentum=0.3)],
    )
    ema = next(
        hook for hook in found.runner.hooks if hasattr(hook, 'ema_model')
    )
    average, model = ema.ema_model.module, found.runner.model
    differ = False
    for name in CONVS:
        one, other = (
            net.get_parameter(f'{name}.weight') for net in (average, model)
        )
        differ |= not torch.equal(one, other)
        rows = [(w.flatten(1) == 0).all(1) for w in (one, other)]
        assert torch.equal(*rows) and int(rows[0].sum()) == len(one) // 2
    assert differ
    saved = torch.load(tmp_path / 'epoch_5.pth', weights_only=False)
    assert torch.equal(
        saved['state_dict']['conv1.weight'], average.conv1.weight
    )
    # the validation runs the average
    assert found.metrics[5]['zeros'] == 13


@pytest.mark.parametrize(
    'optim_wrapper',
    [
        dict(type='mmkd.AutocastOptimWrapper'),
        dict(type='OptimWrapper', accumulative_counts=2),
    ],
)
def test_mixed_precision_and_accumulation(tmp_path, optim_wrapper) -> None:
    torch.manual_seed(0)
    found = run(
        tmp_path,
        dict(method='ghfp', pruning_rate=0.5, mask_momentum=True),
        model=Net(torch.float32),
        data=random_batches(5, torch.float32),
        optim_wrapper=optim_wrapper,
    )
    assert zero_filters(found.runner.model) == 13
    for name in CONVS:
        weight = found.runner.model.get_parameter(f'{name}.weight')
        zero = (weight.flatten(1) == 0).all(1)
        assert weight.dtype == torch.float32
        buffer = found.runner.optim_wrapper.optimizer.state[weight]
        assert not buffer['momentum_buffer'][zero].any()


def test_overflowing_gradients_of_hard_filters_become_zero(tmp_path) -> None:
    found = run(tmp_path, dict(method='ghfp', pruning_rate=0.5), epochs=2)
    pruner = next(
        hook.pruner for hook in found.runner.hooks if hasattr(hook, 'pruner')
    )
    weight = found.runner.model.conv0.weight
    pruner.hard.freeze()
    weight.grad = None
    (weight * float('inf')).sum().backward()
    hard = pruner.hard.masks['conv0'].flatten()
    assert int(hard.sum()) == 3
    assert not weight.grad[hard].any()
    assert weight.grad[~hard].isinf().all()
    pruner.hard.release()
    weight.grad = None
    weight.sum().backward()
    assert weight.grad.all()


def test_masks_before_training_kill_filters_before_relu(tmp_path) -> None:
    """As published for SFP: they get no gradient and never recover."""
    zeros = {}
    for premask in (True, False):
        found = run(
            tmp_path / str(premask),
            dict(method='sfp', pruning_rate=0.5, mask_before_train=premask),
        )
        rows = [
            (found.after[t]['conv0.weight'].flatten(1) == 0).all(1)
            for t in range(5)
        ]
        zeros[premask] = rows
    torch.manual_seed(0)
    first = reference.pruned_filters(Net().conv0.weight.detach(), 0.5)
    for row in zeros[True]:
        assert row.nonzero().flatten().tolist() == first
    assert any(
        row.nonzero().flatten().tolist() != first for row in zeros[False]
    )


def test_load_from_a_pruned_network_is_a_new_start(tmp_path) -> None:
    hook = dict(method='ghfp', pruning_rate=0.5)
    run(tmp_path / 'first', hook)
    second = run(
        tmp_path / 'second',
        dict(hook, mask_before_train=True),
        load_from=str(tmp_path / 'first' / 'epoch_5.pth'),
    )
    checkpoint = torch.load(
        tmp_path / 'second' / 'epoch_1.pth', weights_only=False
    )
    assert len(second.after) == 5  # from epoch 0
    hard = checkpoint['mmkd_pruning']['hard']  # P(0) = 0: none is left
    assert not any(mask.any() for mask in hard.values())


def test_recalibrated_statistics(tmp_path) -> None:
    hook = dict(method='sfp', pruning_rate=0.5)
    plain = run(tmp_path / 'plain', hook)
    anew = run(tmp_path / 'anew', dict(hook, recalibrate_bn=2))
    for t in range(4):
        for name, value in plain.after[t].items():
            assert torch.equal(anew.after[t][name], value)
    expected = Net()
    expected.load_state_dict(plain.after[4])
    data = random_batches(5)
    inputs = data.inputs[4]

    def statistics(module: nn.Module, args: Any, output: Any) -> None:
        maps = args[0].detach().transpose(0, 1).flatten(1)
        module.seen = [*getattr(module, 'seen', []), maps]

    for norm in (expected.norm0, expected.norm1, expected.norm2):
        norm.register_forward_hook(statistics)
    for images in inputs:
        expected(images, mode='tensor')
    for k in range(3):
        seen = getattr(expected, f'norm{k}').seen
        mean = torch.stack([maps.mean(1) for maps in seen]).mean(0)
        var = torch.stack([maps.var(1) for maps in seen]).mean(0)
        found = anew.after[4]
        torch.testing.assert_close(found[f'norm{k}.running_mean'], mean)
        torch.testing.assert_close(found[f'norm{k}.running_var'], var)
        assert not torch.allclose(plain.after[4][f'norm{k}.running_var'], var)
    for name, value in plain.after[4].items():
        if 'running' not in name and 'tracked' not in name:
            assert torch.equal(anew.after[4][name], value)


def test_frozen_statistics_are_not_recalibrated() -> None:
    class Frozen(Net):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.norm0.eval()
            return self

    net = Frozen().train()
    before = net.norm0.running_mean.clone()
    count = recalibrate_batch_norm(
        net,
        random_batches(1).inputs[0],
        lambda images: net(images, mode='tensor'),
    )
    assert count == 2
    assert torch.equal(net.norm0.running_mean, before)
    assert net.norm1.running_mean.any() and net.norm1.momentum == 0.1
    assert net.norm1.training and not net.norm0.training


def test_hook_that_is_given_on_the_command_line(tmp_path) -> None:
    given = dict(
        type='mmkd.SoftFilterPruningHook', pruning_rate=0.5, include=['conv']
    )
    runner = make_runner(
        tmp_path,
        dict(pruning_rate=0.0),
        default_hooks=dict(pruning=given, logger=dict(type='LoggerHook')),
    )
    order = [type(hook).__name__ for hook in runner.hooks]
    pruning = order.index('SoftFilterPruningHook')
    assert order.index('LoggerHook') < pruning < order.index('CheckpointHook')
    runner.train()
    assert zero_filters(runner.model) == 13


def test_table_and_scalars(tmp_path, caplog) -> None:
    hook = dict(method='asrfp', pruning_rate=0.5)
    runner = make_runner(tmp_path, hook, log_level='INFO')
    runner.logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    runner.train()
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith('Pruning, step')
    ]
    assert len(lines) == 5
    assert 'step 1 of 5: rate 0, alpha 1, hard_ratio 0, 0 of 26' in lines[0]
    assert 'rate 0.5, alpha 0, hard_ratio 0, 13 of 26 filters' in lines[4]
    table = [line.split() for line in lines[4].splitlines()[1:]]
    assert table == [
        ['layer', 'zero', 'of', 'share'],
        ['conv0', '3', '6', '50.0%'],
        ['conv1', '5', '10', '50.0%'],
        ['conv2', '5', '10', '50.0%'],
        ['together', '13', '26', '50.0%'],
    ]
    assert '\n' not in lines[1]  # nothing new to show
    scalars = runner.message_hub.log_scalars
    assert scalars['pruning/zero_filters'].data[0].tolist() == [0] * 4 + [13]
    assert scalars['pruning/hard_ratio'].current() == 0


def test_table_once_per_mask(tmp_path, caplog) -> None:
    runner = make_runner(tmp_path, dict(method='sfp', pruning_rate=0.5))
    runner.logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    runner.train()
    texts = [record.getMessage() for record in caplog.records]
    last = [text for text in texts if text.startswith('Pruning')][-1]
    assert last == 'Pruning, at the end: the zeros of the last table'
    assert sum('together' in text for text in texts) == 1
