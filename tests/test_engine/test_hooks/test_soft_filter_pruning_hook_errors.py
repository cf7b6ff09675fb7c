"""Mistakes and warnings of the pruning hook."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from mmengine.hooks import Hook
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmkd.engine.hooks import SoftFilterPruningHook
from mmkd.engine.hooks.runner_parts import greater_is_better, refuse_sharded
from tests.support.pruning_runner import Net, Record, Stop, make_runner


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(method='SFP'), "method='SFP' is unknown; use one of sfp, asfp"),
        (dict(pruning_rate=1), r'pruning_rate must be in \[0, 1\), but is 1'),
        (dict(pruning_rate=-0.1), 'pruning_rate must be in'),
        (dict(granularity='channel'), 'use one of filter, weight'),
        (dict(norm='l1'), "norm='l1' must be a positive number"),
        (dict(norm=0), 'norm=0 must be a positive number'),
        (dict(interval=0), 'interval=0 must be at least 1'),
        (dict(recalibrate_bn=-1), 'recalibrate_bn=-1 must be at least 0'),
        (dict(mask_bn=True, granularity='weight'), 'set mask_bn=False'),
        (dict(mask_momentum=True), "set method='ghfp' or hard_ratio='cubic'"),
        (dict(decay=dict(alpha0=2)), r'decay.alpha0 must be in \[0, 1\]'),
        (dict(decay=dict(sigma=2)), 'decay.sigma must be in'),
        (dict(rate_schedule='linear'), 'unknown type; use one of constant'),
        (dict(rate_schedule=dict(type='exponential', D=0)), r'schedule\.D'),
        (dict(hard_ratio='linear'), 'hard_ratio=.linear. must be None'),
    ],
)
def test_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftFilterPruningHook(**options)


@pytest.mark.parametrize(
    ('options', 'by_epoch', 'message'),
    [
        (dict(include=['^layer']), True, 'none of 3 conv.*e.g. of conv0'),
        (dict(include=None), True, 'none of 3 conv.*backbone'),
        (dict(exclude=['conv']), True, r"exclude=\['conv'\]"),
        (dict(layer_rates={'layer1': 0.1}), True, "has 'layer1', which is"),
        (dict(layer_rates={'conv1': 1.0}), True, 'pruning_rate must be in'),
        (dict(), False, 'by_epoch=True, but the loop IterBasedTrainLoop'),
        (dict(by_epoch=False, interval=11), False, 'longer than the train'),
    ],
)
def test_runs(tmp_path, options, by_epoch, message) -> None:
    runner = make_runner(tmp_path, options, by_epoch=by_epoch)
    with pytest.raises(ValueError, match=message):
        runner.train()


def test_grouped_convolution(tmp_path) -> None:
    model = Net()
    model.conv2 = nn.Conv2d(10, 10, 3, padding=1, groups=2, bias=False)
    model.double()
    runner = make_runner(tmp_path / 'a', {}, model=model)
    with pytest.raises(ValueError, match='conv2 has 2 groups.*add exclude='):
        runner.train()
    record = Record()
    make_runner(
        tmp_path / 'b',
        dict(granularity='weight', pruning_rate=0.5),
        model=model,
        hooks=[record],
    ).train()
    assert int((model.conv2.weight == 0).sum()) == 225


def test_batch_norm_that_is_not_there(tmp_path) -> None:
    model = Net()
    model.norm2 = nn.GroupNorm(2, 10).double()
    runner = make_runner(tmp_path, dict(mask_bn=True), model=model)
    with pytest.raises(ValueError, match='conv2 has no batch norm of 10'):
        runner.train()


def test_diverged_training(tmp_path) -> None:
    class Diverge(Hook):
        def after_train_epoch(self, runner) -> None:
            runner.model.conv1.weight.data[3, 0] = float('nan')

    runner = make_runner(tmp_path, {}, hooks=[Diverge()])
    with pytest.raises(RuntimeError, match='weights of conv1 are not finite'):
        runner.train()


def test_sharded_parameters() -> None:
    refuse_sharded(Net(), 'hook')
    model = Net()
    model.conv1.weight.ds_id = 3  # as ZeRO-3 marks them
    with pytest.raises(NotImplementedError, match='MMDistributedDataParal'):
        refuse_sharded(model, 'hook')


def test_fsdp() -> None:
    class Wrapper(FullyShardedDataParallel):
        def __init__(self, module: nn.Module) -> None:
            nn.Module.__init__(self)
            self.inner = module

    with pytest.raises(NotImplementedError, match='FSDP or ZeRO-3'):
        refuse_sharded(nn.Sequential(Wrapper(Net())), 'hook')


def warnings_of(runner: Any, caplog: Any) -> list[str]:
    runner.logger.addHandler(caplog.handler)
    caplog.clear()
    runner.train()
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING
        and 'SoftFilterPruningHook' in record.getMessage()
    ]


def test_rate_that_prunes_nothing(tmp_path, caplog) -> None:
    runner = make_runner(
        tmp_path, dict(pruning_rate=0.05), log_level='WARNING'
    )
    (warning,) = warnings_of(runner, caplog)
    assert (
        'pruning_rate=0.05 prunes nothing, as no layer has more than 10'
        in (warning)
    )


@pytest.mark.parametrize('interval', [1, 3])
def test_other_number_of_epochs_on_resuming(
    tmp_path, caplog, interval
) -> None:
    hook = dict(method='srfp', interval=interval)
    part = make_runner(tmp_path, hook, epochs=6, hooks=[Record(2)])
    with pytest.raises(Stop):
        part.train()
    same = make_runner(
        tmp_path, hook, epochs=6, resume=True, log_level='WARNING'
    )
    assert warnings_of(same, caplog) == []
    other = make_runner(
        tmp_path,
        hook,
        epochs=8,
        resume=True,
        log_level='WARNING',
        load_from=str(tmp_path / 'epoch_2.pth'),
    )
    (warning,) = warnings_of(other, caplog)
    assert 'began with 6 steps and goes on with 8 (max_epochs' in warning


def test_resuming_an_unpruned_run(tmp_path, caplog) -> None:
    plain = make_runner(tmp_path, {}, hooks=[Record(2)])
    plain._hooks[:] = [
        hook
        for hook in plain._hooks
        if not isinstance(hook, SoftFilterPruningHook)
    ]
    with pytest.raises(Stop):
        plain.train()
    runner = make_runner(tmp_path, {}, resume=True, log_level='WARNING')
    (warning,) = warnings_of(runner, caplog)
    assert 'of a run without pruning' in warning


def test_hard_filters_of_other_layers(tmp_path) -> None:
    hook = dict(method='ghfp', pruning_rate=0.5)
    part = make_runner(tmp_path, hook, hooks=[Record(3)])
    with pytest.raises(Stop):
        part.train()
    other = make_runner(
        tmp_path, dict(hook, include=['conv[01]']), resume=True
    )
    with pytest.raises(ValueError, match='hard-pruned filters of other layer'):
        other.train()


def test_training_that_ends_early(tmp_path, caplog) -> None:
    class Early(Hook):
        def after_train_epoch(self, runner) -> None:
            runner.train_loop.stop_training = True

    runner = make_runner(
        tmp_path, dict(method='srfp'), hooks=[Early()], log_level='WARNING'
    )
    (warning,) = warnings_of(runner, caplog)
    assert 'ended before its last mask' in warning
    assert 'all of its 5 steps' in warning


def test_direction_of_metrics(tmp_path) -> None:
    best = dict(
        type='CheckpointHook', save_best='pruned/odd', rule='less', interval=1
    )
    runner = make_runner(tmp_path, {}, default_hooks=dict(checkpoint=best))
    found = {
        name: greater_is_better(runner, f'pruned/{name}')
        for name in ('accuracy/top1', 'mIoU', 'coco/AP', 'loss', 'odd', 'NME')
    }
    assert [name for name, greater in found.items() if not greater] == [
        'loss',
        'odd',
        'NME',
    ]
