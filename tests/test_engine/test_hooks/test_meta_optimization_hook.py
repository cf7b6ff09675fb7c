from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.autograd.function import once_differentiable

from mmkd.checkpoints.read import read_checkpoint
from mmkd.engine.hooks import MetaOptimizationHook
from tests.support.float64 import in_float64
from tests.support.lmcl_toy import (
    build_lmcl,
    lmcl_batch,
    lmcl_config,
    main_groups,
    meta_hook,
)
from tests.support.toy_runner import Diary, Interruption, make_runner

HARD_ONLY = dict(soft_vcl_weight=0.0, soft_icl_weight=0.0)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def changed(before: dict, after: dict) -> set[str]:
    return {k for k in before if not torch.equal(before[k], after[k])}


@pytest.mark.parametrize('restore', [True, False])
def test_nothing_but_phi_changes(restore: bool) -> None:
    model = build_lmcl()
    batch = lmcl_batch(model)
    hook = meta_hook(model, restore_buffers=restore)
    before, random = state_of(model), torch.get_rng_state()
    value = hook.step(model, batch, main_groups(model))
    assert math.isfinite(value) and value > 0
    assert torch.equal(torch.get_rng_state(), random)
    moved = changed(before, model.state_dict())
    phi = {k for k in before if k.startswith('exchanges.0.matching.')}
    assert phi and phi <= moved
    if restore:
        assert moved == phi
    else:  # as if the networks had seen the batch once more
        other = build_lmcl()
        other.load_state_dict(before)
        other.observe(**batch)
        once_more = other.state_dict()
        running = moved - phi
        assert running and all('running' in k or 'num_' in k for k in running)
        for key in running:
            assert torch.equal(model.state_dict()[key], once_more[key]), key
    assert all(p.grad is None for p in model.parameters())
    assert not any(
        p.requires_grad for n, p in model.named_parameters() if n in phi
    )


@pytest.mark.parametrize('steps', [1, 2])
def test_gradient_equals_finite_differences(steps: int) -> None:
    """With batch norms and heads, in float64; see test_meta_gradient."""
    model = in_float64(build_lmcl(loss=HARD_ONLY if steps > 1 else {}))
    batch = lmcl_batch(model)
    hook = meta_hook(model, num_inner_steps=steps)
    groups = main_groups(model, lr=1e-3)  # few kinks of ReLU on the way
    grads, _ = hook.gradient(model, batch, groups)
    phi = list(model.exchanges[0].matching.parameters())
    directions = [torch.randn_like(p) for p in phi]
    slope = sum((g * d).sum() for g, d in zip(grads, directions, strict=True))
    start, step, ends = [p.detach().clone() for p in phi], 1e-6, []
    for sign in (1, -1):
        for p, s, d in zip(phi, start, directions, strict=True):
            p.data.copy_(s + sign * step * d)
        ends.append(hook.gradient(model, batch, groups)[1])
    difference = (ends[0] - ends[1]) / (2 * step)
    assert abs(difference) > 1e-8
    assert slope.item() == pytest.approx(difference, rel=1e-5)


def test_autocast_around_it_changes_nothing() -> None:
    model = build_lmcl()
    batch = lmcl_batch(model)
    hook = meta_hook(model)
    plain, _ = hook.gradient(model, batch, main_groups(model))
    with torch.autocast('cpu', torch.bfloat16):
        mixed, _ = hook.gradient(model, batch, main_groups(model))
    for one, two in zip(plain, mixed, strict=True):
        assert torch.equal(one, two)


def test_dropout_is_the_same_in_every_pass() -> None:
    model = build_lmcl()
    for peer in model.cohort.peers:
        peer.backbone.layer2 = nn.Sequential(
            *peer.backbone.layer2, nn.Dropout2d(0.5)
        )
    batch = lmcl_batch(model)
    hook = meta_hook(model)
    first, _ = hook.gradient(model, batch, main_groups(model))
    again, _ = hook.gradient(model, batch, main_groups(model))
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)


def test_rates_of_parameter_groups() -> None:
    """Frozen rates: nothing moves, so there is no gradient."""
    model = build_lmcl()
    batch = lmcl_batch(model)
    hook = meta_hook(model)
    grads, _ = hook.gradient(model, batch, main_groups(model, lr=0.0))
    assert all((g == 0).all() for g in grads)
    half = list(model.cohort.parameters())
    rest = list(model.aux_heads.parameters())
    groups = [
        dict(params=half, lr=0.05, weight_decay=5e-4),
        dict(params=rest, lr=0.0, weight_decay=0.0),
    ]
    split, _ = hook.gradient(model, batch, groups)
    whole, _ = hook.gradient(model, batch, main_groups(model))
    assert not all(map(torch.equal, split, whole))


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


class OnceLayer(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Once.apply(x)


def test_layers_without_second_derivative_are_named() -> None:
    model = build_lmcl()
    inner = nn.Sequential(nn.ReLU(), OnceLayer())
    model.cohort[1].backbone.relu = inner
    hook = meta_hook(model)
    before = state_of(model)
    name = r'cohort\.peers\.1\.backbone\.relu\.1" \(OnceLayer\)'
    with pytest.raises(ValueError, match=f'twice differentiable.*{name}'):
        hook.step(model, lmcl_batch(model), main_groups(model))
    parameters = {n for n, _ in model.named_parameters()}
    assert not changed(before, model.state_dict()) & parameters
    model = build_lmcl()
    model.cohort[0].backbone.bn1 = nn.SyncBatchNorm(4)
    with pytest.raises(ValueError, match=r'backbone\.bn1" \(SyncBatchNorm'):
        meta_hook(model)
    model = build_lmcl()
    model.cohort[0].backbone.layer1.with_cp = True
    with pytest.raises(ValueError, match='layer1.*set with_cp=False'):
        meta_hook(model)


def test_other_failures_stay_what_they_are() -> None:
    model = build_lmcl()
    hook = meta_hook(model)

    def fails(*_: Any) -> None:
        raise RuntimeError('out of memory')

    model.exchanges[0].outer_loss = fails
    with pytest.raises(RuntimeError, match='out of memory'):
        hook.step(model, lmcl_batch(model), main_groups(model))


def test_nonfinite_gradients_stop_the_run() -> None:
    model = build_lmcl()
    hook = meta_hook(model)
    before = state_of(model)
    batch = lmcl_batch(model)
    with pytest.raises(FloatingPointError, match='meta gradient is not fin'):
        hook.step(model, batch, main_groups(model, lr=1e30))
    assert not changed(before, model.state_dict())


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(interval=0), 'interval=0 must be at least 1'),
        (dict(num_inner_steps=0), 'num_inner_steps=0 must be at least 1'),
        (dict(adjoint='fast'), "adjoint='fast' is unknown"),
        (dict(meta_optimizer=dict(type='Adam')), "type='Adam'; set type='SG"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetaOptimizationHook(**settings)


def test_a_model_without_matching_network() -> None:
    model = build_lmcl(exchange=dict(matching=None))
    with pytest.raises(TypeError, match='0 exchanges with a matching'):
        meta_hook(model)


# -- in runners ---------------------------------------------------------------


def memory_config(num_samples: int) -> dict[str, Any]:
    return lmcl_config(
        exchange=dict(
            type='mmkd.MemoryLayerwiseMutualContrastiveExchange',
            num_negatives=2,
            loss=dict(
                type='mmkd.MemoryLayerwiseMutualContrastiveLoss',
                num_peers=2,
                num_samples=num_samples,
                feat_dim=8,
            ),
        )
    )


def runner_for(work_dir: Path, model: Any = None, **options: Any) -> Any:
    torch.manual_seed(len(str(work_dir)))
    options.setdefault('hooks', [dict(type='mmkd.MetaOptimizationHook')])
    options.setdefault('by_epoch', True)
    options.setdefault('steps', 6)
    return make_runner(
        str(work_dir),
        model or lmcl_config(loss=dict(ignore_lonely=True)),
        'classification',
        num_samples=6,
        **options,
    )


class Counting(MetaOptimizationHook):
    """Notes when it steps, at which rate and on which images."""

    def step(self, model: Any, batch: Any, groups: Any) -> float:
        found = super().step(model, batch, groups)
        self.rates = [*getattr(self, 'rates', []), groups[0]['lr']]
        assert self.optimizer.param_groups[0]['lr'] == groups[0]['lr']
        assert batch['inputs'].is_floating_point()
        return found


@pytest.mark.slow
@pytest.mark.parametrize('interval', [1, 2, 50])
def test_steps_of_an_epoch(tmp_path: Path, interval: int) -> None:
    hook = Counting(interval=interval)
    runner = runner_for(tmp_path, hooks=[hook])
    runner.train()  # two epochs of three iterations
    assert len(hook.rates) == 2 * math.ceil(3 / interval)
    # the rate of the step just done, before its scheduler changes it
    assert hook.rates[0] == pytest.approx(0.01)
    scalars = runner.message_hub.log_scalars
    history, _ = scalars['train/meta_objective'].data
    assert len(history) == len(hook.rates)
    preprocessor = runner.model.data_preprocessor
    assert not preprocessor._forward_hooks


def test_without_the_hook_phi_is_constant(tmp_path: Path) -> None:
    runner = runner_for(tmp_path, hooks=[], steps=3)
    before = state_of(runner.model)
    runner.train()
    moved = changed(before, runner.model.state_dict())
    assert not any('matching' in key for key in moved)
    names = {n for n, _ in runner.model.named_parameters()}
    assert all('matching' in key for key in names - moved)
    matching = runner.model.exchanges[0].matching
    assert all(p.grad is None for p in matching.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    'memory', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_resumed_run_equals_straight_run(memory: bool, tmp_path: Path) -> None:
    """Weights, banks, phi and its momentum: bit for bit."""
    hooks = [dict(type='mmkd.MetaOptimizationHook', interval=2)]
    if memory:
        hooks.append(dict(type='mmkd.DatasetLabelsHook'))
    runs = {}
    for name, stop, resume in (
        ('straight', None, False),
        ('cut', 3, False),
        ('cut', None, True),
    ):
        diary = Diary(stop)
        runner = runner_for(
            tmp_path / name,
            diary=diary,
            resume=resume,
            model=memory_config(6) if memory else None,
            hooks=hooks,
        )
        if stop is None:
            runner.train()
        else:
            with pytest.raises(Interruption):
                runner.train()
        runs[name] = (runner, diary)
    (one, whole), (two, after) = runs['straight'], runs['cut']
    assert sorted(after.losses) == [3, 4, 5]
    for step in (3, 4, 5):
        assert after.losses[step] == whole.losses[step]
    first, second = one.model.state_dict(), two.model.state_dict()
    assert not changed(first, second)
    saved = [
        read_checkpoint(tmp_path / name / 'epoch_2.pth')[
            'mmkd_meta_optimizer'
        ]['state']
        for name in ('straight', 'cut')
    ]
    assert saved[0].keys() == saved[1].keys() and len(saved[0]) == 12
    for key, own in saved[0].items():
        assert torch.equal(
            own['momentum_buffer'], saved[1][key]['momentum_buffer']
        )
        assert own['momentum_buffer'].abs().sum() > 0


def test_gradient_accumulation_is_refused(tmp_path: Path) -> None:
    runner = runner_for(
        tmp_path,
        optim_wrapper=dict(
            type='OptimWrapper',
            accumulative_counts=2,
            optimizer=dict(type='SGD', lr=0.01),
        ),
    )
    with pytest.raises(ValueError, match='accumulative_counts=2'):
        runner.train()


def test_mixed_precision_trains(tmp_path: Path) -> None:
    runner = runner_for(
        tmp_path,
        steps=3,
        optim_wrapper=dict(
            type='mmkd.AutocastOptimWrapper',
            optimizer=dict(type='SGD', lr=0.01),
        ),
    )
    before = state_of(runner.model)
    runner.train()
    moved = changed(before, runner.model.state_dict())
    assert any('matching' in key for key in moved)


def test_main_optimizer_is_untouched() -> None:
    model = build_lmcl()
    batch = lmcl_batch(model)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4
    )
    wrapper = OptimWrapper(optimizer)
    raw = dict(inputs=batch['inputs'], data_samples=batch['data_samples'])
    _, values = model.parse_losses(model(**raw, mode='loss'))
    wrapper.update_params(
        sum(v for k, v in model(**raw, mode='loss').items() if 'loss' in k)
    )
    assert values['loss'] > 0
    state = copy.deepcopy(optimizer.state_dict())
    meta_hook(model).step(model, batch, optimizer.param_groups)
    after = optimizer.state_dict()
    assert state['param_groups'] == after['param_groups']
    for key, own in state['state'].items():
        assert torch.equal(
            own['momentum_buffer'], after['state'][key]['momentum_buffer']
        )
