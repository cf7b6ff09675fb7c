"""A step of several phases, each with its own optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import (
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
)

from mmkd.models.distillers import base as module
from mmkd.toys import toy_batch, toy_network
from tests.support.toy_cohort import (
    batch_for,
    build_cohort,
    cohort_config,
    total,
)
from tests.support.toy_runner import Diary, Interruption, make_runner

GAN = dict(type='mmkd.TinyAdversarialExchange')
PHASES = ('main', 'discriminator', 'adversarial')
CONSTRUCTOR = 'mmkd.PhasedOptimWrapperConstructor'


def optimizers(kind: str = 'OptimWrapper', **options: Any) -> dict[str, Any]:
    sgd = dict(type='SGD', lr=0.1, momentum=0.9)
    wrapper = dict(type=kind, optimizer=sgd, **options)
    return dict(
        constructor=CONSTRUCTOR, **{name: dict(wrapper) for name in PHASES}
    )


def adversarial(**changes: Any) -> Any:
    return build_cohort(exchange=GAN, **changes).train()


def raw(first: int = 0, count: int = 2) -> dict[str, Any]:
    batch = toy_batch('classification', first + count, (32, 32))
    return {key: value[first:] for key, value in batch.items()}


def phase_losses(model: Any, batch: Any) -> tuple[Any, Any, Any]:
    """The three losses, written by hand."""
    features, own = [], 0.0
    for peer in model.cohort.peers:
        feats = peer.neck(peer.backbone(batch['inputs']))[0]
        labels = torch.cat([s.gt_label for s in batch['data_samples']])
        own = own + torch.nn.functional.cross_entropy(
            peer.head.fc(feats), labels
        )
        features.append(feats)
    judge = model.exchanges[0].discriminator
    critic = (
        (judge(features[0].detach()) - 1).square()
        + judge(features[1].detach()).square()
    ).mean()
    fooled = (judge(features[1]) - 1).square().mean()
    return own, critic, fooled


def test_gradients_equal_a_reference_by_hand() -> None:
    model = adversarial()
    reference = copy.deepcopy(model)
    judge = list(reference.exchanges[0].discriminator.parameters())
    second = list(reference.cohort[1].parameters())
    judge_before = [value.detach().clone() for value in judge]

    wrapper = build_optim_wrapper(model, optimizers())
    logs = model.train_step(raw(), wrapper)

    batch = reference.data_preprocessor(raw(), True)
    own, critic, fooled = phase_losses(reference, batch)
    peers = list(reference.cohort.parameters())
    grads = dict.fromkeys(peers + judge, 0.0)
    for loss, parameters in ((own, peers), (critic, judge), (fooled, second)):
        found = torch.autograd.grad(
            loss, parameters, retain_graph=True, allow_unused=True
        )
        for parameter, grad in zip(parameters, found, strict=True):
            if grad is not None:
                grads[parameter] = grads[parameter] + grad
    with torch.no_grad():
        for parameter, grad in grads.items():
            parameter -= 0.1 * grad
    state = reference.state_dict()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=1e-4, atol=1e-6)
    assert not torch.equal(judge[0], judge_before[0])
    assert float(logs['loss']) == pytest.approx(float(own), rel=1e-4)
    assert float(logs['discriminator']) == pytest.approx(float(critic))
    assert float(logs['adversarial']) == pytest.approx(float(fooled))
    assert all(p.grad is None for p in model.parameters())


def test_optimizers_hold_what_their_phases_train() -> None:
    model = adversarial()
    wrapper = build_optim_wrapper(model, optimizers())
    held = {
        name: {
            id(p)
            for group in wrapper[name].optimizer.param_groups
            for p in group['params']
        }
        for name in PHASES
    }
    judge = {id(p) for p in model.exchanges[0].discriminator.parameters()}
    peers = {id(p) for p in model.cohort.parameters()}
    assert held['main'] == peers
    assert held['discriminator'] == judge
    assert held['adversarial'] == {id(p) for p in model.cohort[1].parameters()}


def test_parameter_wise_options_see_the_names() -> None:
    config = optimizers()
    config['main']['optimizer'] = dict(type='SGD', lr=0.1, weight_decay=0.01)
    config['main']['paramwise_cfg'] = dict(
        norm_decay_mult=0.0, custom_keys={'head.fc': dict(lr_mult=10.0)}
    )
    model = adversarial()
    groups = build_optim_wrapper(model, config)['main'].optimizer.param_groups
    rates = {id(p): g['lr'] for g in groups for p in g['params']}
    assert len(rates) == len(list(model.cohort.parameters()))
    peer = model.cohort[1]
    assert rates[id(peer.head.fc.weight)] == pytest.approx(1.0)
    assert rates[id(peer.backbone.conv1.weight)] == pytest.approx(0.1)
    with pytest.raises(ValueError, match='give it inside optim_wrapper.main'):
        build_optim_wrapper(
            model, dict(optimizers(), paramwise_cfg=dict(norm_decay_mult=0.0))
        )


def test_two_half_steps_accumulate_to_one() -> None:
    """Without batch statistics; the gradients are those of both halves."""

    def network() -> Any:
        config = toy_network('classification', 4)
        config.backbone.norm_eval = True
        return config

    whole = adversarial(peers=[network(), network()])
    halves = copy.deepcopy(whole)
    once = build_optim_wrapper(whole, optimizers())
    twice = build_optim_wrapper(halves, optimizers(accumulative_counts=2))
    whole.train_step(raw(0, 4), once)
    before = copy.deepcopy(halves.state_dict())
    halves.train_step(raw(0, 2), twice)
    for key, value in halves.cohort[0].named_parameters():
        assert torch.equal(value, before[f'cohort.peers.0.{key}'])
    halves.train_step(raw(2, 2), twice)
    state = whole.state_dict()
    for key, value in halves.named_parameters():
        torch.testing.assert_close(value, state[key], rtol=1e-4, atol=1e-6)


def test_bfloat16() -> None:
    plain, mixed = adversarial(), adversarial()
    logs = [
        model.train_step(raw(), build_optim_wrapper(model, optimizers(kind)))
        for model, kind in (
            (plain, 'OptimWrapper'),
            (mixed, 'mmkd.AutocastOptimWrapper'),
        )
    ]
    for key, value in logs[0].items():
        assert float(logs[1][key]) == pytest.approx(float(value), abs=0.05)
        assert float(logs[1][key]) != float(value)
    assert all(p.dtype == torch.float32 for p in mixed.parameters())


def test_after_step_is_called_once() -> None:
    model = build_cohort(
        exchange=[GAN, dict(type='mmkd.TinyRecordingExchange')]
    ).train()
    wrapper = build_optim_wrapper(model, optimizers())
    model.train_step(raw(), wrapper)
    assert model.exchanges[1].steps == 1


def test_losses_of_all_phases_are_checked() -> None:
    model = adversarial()
    with torch.no_grad():
        model.exchanges[0].discriminator.weight.fill_(float('nan'))
    with pytest.raises(FloatingPointError, match='loss_critic is nan'):
        model.train_step(raw(), build_optim_wrapper(model, optimizers()))


def lose(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in names}


@pytest.mark.parametrize(
    'config',
    [lose(optimizers(), 'adversarial'), dict(optimizers(), extra=dict())],
)
def test_wrong_phases_of_the_config_are_refused(config: Any) -> None:
    words = 'trains in the phases main, discriminator, adversarial: give one'
    with pytest.raises(KeyError, match=words):
        build_optim_wrapper(adversarial(), config)


def test_one_optimizer_for_all_is_refused() -> None:
    model = adversarial()
    single = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    words = r"optim_wrapper=dict\(constructor='mmkd\.Phased.*main=dict"
    with pytest.raises(TypeError, match=words):
        model.train_step(raw(), single)
    with pytest.raises(TypeError, match=words):
        model.train_step(raw(), OptimWrapperDict(main=single))


def test_phases_may_name_their_losses_alike() -> None:
    model = adversarial()
    exchange = model.exchanges[0]
    compute = exchange.phase_losses
    exchange.phase_losses = lambda *args: dict(
        loss_gan=sum(compute(*args).values())
    )
    wrapper = build_optim_wrapper(model, optimizers())
    logs = model.train_step(raw(), wrapper)
    first, second = logs['loss_gan'], logs['adversarial.loss_gan']
    assert float(first) == float(logs['discriminator'])
    assert float(second) == float(logs['adversarial']) != float(first)


def test_phases_without_a_loss_are_refused() -> None:
    model = adversarial()
    wrapper = build_optim_wrapper(model, optimizers())
    exchange = model.exchanges[0]
    exchange.phase_losses = lambda *args: {}
    with pytest.raises(ValueError, match='phase discriminator .*has nothing'):
        model.train_step(raw(), wrapper)
    exchange.phase_losses = lambda phase, peers, aux, batch: dict(
        loss=peers[0]['feats'].sum()
    )
    words = 'reaches none of the parameters of optim_wrapper.discriminator'
    with pytest.raises(ValueError, match=words):
        model.train_step(raw(), wrapper)


def test_phases_without_parameters_are_refused() -> None:
    model = adversarial()
    model.exchanges[0].phases = ('judge',)
    config = lose(optimizers(), 'discriminator', 'adversarial')
    with pytest.raises(TypeError, match='no module judge.*phase_parameters'):
        build_optim_wrapper(model, dict(config, judge=config['main']))


@pytest.mark.parametrize('exchange', ['Adversarial', 'Recording'])
def test_default_wrapper_of_several_processes_is_refused(
    exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, 'is_distributed', lambda: True)
    model = build_cohort(exchange=dict(type=f'mmkd.Tiny{exchange}Exchange'))
    batch = batch_for(model)
    words = r"model_wrapper_cfg=dict\(type='mmkd\.PhasedDistributedDataPar"
    with pytest.raises(ValueError, match=words):
        model.train()(**batch, mode='loss')
    plain = build_cohort().train()  # needs no step of its own
    assert total(plain(**batch, mode='loss')) > 0


def run(work_dir: Path, stop_after: int | None = None, **options: Any) -> Any:
    diary = Diary(stop_after)
    runner = make_runner(
        str(work_dir),
        cohort_config(exchange=GAN),
        'classification',
        steps=4,
        save_every=2,
        diary=diary,
        optim_wrapper=optimizers(),
        **options,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


@pytest.fixture
def same() -> Callable[[Any, Any], None]:
    def check(one: Any, two: Any) -> None:
        if isinstance(one, dict):
            assert one.keys() == two.keys()
            for key in one:
                check(one[key], two[key])
        elif isinstance(one, torch.Tensor):
            assert torch.equal(one, two)
        else:
            assert one == two

    return check


@pytest.mark.slow
def test_resumed_run_equals_straight_run(
    tmp_path: Path, same: Callable[[Any, Any], None]
) -> None:
    straight, whole = run(tmp_path / 'a')
    run(tmp_path / 'b', stop_after=2)
    resumed, after = run(tmp_path / 'b', resume=True)
    assert sorted(after.losses) == [2, 3]
    for step in (2, 3):
        assert after.losses[step] == whole.losses[step]
    same(dict(straight.model.state_dict()), dict(resumed.model.state_dict()))
    for name in PHASES:
        same(
            straight.optim_wrapper[name].optimizer.state_dict()['state'],
            resumed.optim_wrapper[name].optimizer.state_dict()['state'],
        )
        lr = straight.optim_wrapper[name].get_lr()
        assert lr == resumed.optim_wrapper[name].get_lr()
