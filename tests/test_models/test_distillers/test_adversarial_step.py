"""AFD in the distiller: its step, its phases, resuming and export."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmkd.checkpoints.read import read_checkpoint
from mmkd.deploy import load_network_weights
from mmkd.networks import build_network
from mmkd.toys import toy_batch, toy_network
from tests.support.float64 import in_float64
from tests.support.toy_cohort import build_cohort, cohort_config
from tests.support.toy_runner import Diary, Interruption, make_runner

TAPS = dict(feats='backbone.layer4', logits='head.fc')
EXCHANGE = dict(
    type='mmkd.AdversarialFeatureExchange',
    on=dict(feats='feats', logits='logits'),
)
PHASES = ('main', 'discriminator', 'adversarial')


def optimizers(main: float = 0.1, feature: float = 1e-3) -> dict[str, Any]:
    adam = dict(optimizer=dict(type='Adam', lr=feature, weight_decay=0.1))
    sgd = dict(type='SGD', lr=main, momentum=0.9, weight_decay=1e-4)
    return dict(
        constructor='mmkd.PhasedOptimWrapperConstructor',
        main=dict(optimizer=sgd),
        discriminator=copy.deepcopy(adam),
        adversarial=copy.deepcopy(adam),
    )


def build(count: int = 2, exchange: Any = EXCHANGE, **changes: Any) -> Any:
    model = build_cohort(peers=count, taps=TAPS, exchange=exchange, **changes)
    return in_float64(model).train()


def raw(count: int = 3) -> dict[str, Any]:
    return toy_batch('classification', count, (64, 64))


def train(model: Any, config: dict[str, Any], steps: int = 1) -> Any:
    wrapper = build_optim_wrapper(model, config)
    logs = [model.train_step(raw(), wrapper) for _ in range(steps)]
    return logs[-1]


def moved(model: Any, before: dict[str, Any]) -> set[str]:
    """Return which groups of parameters have changed."""
    found = set()
    for name, value in model.named_parameters():
        if not torch.equal(value, before[name]):
            parts = name.split('.')
            group = parts[3] if parts[0] == 'cohort' else parts[2]
            found.add(group)
    return found


@pytest.mark.parametrize('count', [2, 3])
def test_step_equals_one_by_hand(count: int) -> None:
    """Plain torch: one forward pass, three differentiations, three steps."""
    model = build(count)
    twin = copy.deepcopy(model)
    logs = train(model, optimizers(), steps=2)
    exchange = twin.exchanges[0]
    peers = twin.cohort.peers
    networks = [p for peer in peers for p in peer.parameters()]
    features = [p for peer in peers for p in peer.backbone.parameters()]
    judges = list(exchange.discriminator.parameters())
    sgd = torch.optim.SGD(networks, 0.1, 0.9, weight_decay=1e-4)
    adams = [
        torch.optim.Adam(values, 1e-3, weight_decay=0.1)
        for values in (judges, features)
    ]
    for _ in range(2):
        batch = twin.data_preprocessor(raw(), True)
        labels = torch.cat([s.gt_label for s in batch['data_samples']])
        maps = [peer.backbone(batch['inputs'])[0] for peer in peers]
        logits = [
            peer.head.fc(m.mean((2, 3)))
            for peer, m in zip(peers, maps, strict=True)
        ]
        main = critic = fooled = 0.0
        for k, z in enumerate(logits):
            judge = exchange.discriminator[k]
            target = (logits[k - 1].detach() / 3).softmax(1)
            kl = target * (target.log() - (z / 3).log_softmax(1))
            main = main + 9 * kl.sum(1).mean()
            main = main + torch.nn.functional.cross_entropy(z, labels)
            real, fake = judge(maps[k - 1].detach()), judge(maps[k].detach())
            critic = critic + (1 - real).square().mean()
            critic = critic + fake.square().mean()
            fooled = fooled + (1 - judge(maps[k])).square().mean()
        for optimizer, loss, leaves in (
            (sgd, main, networks),
            (adams[0], critic, judges),
            (adams[1], fooled, features),
        ):
            grads = torch.autograd.grad(loss, leaves, retain_graph=True)
            optimizer.grads = list(zip(leaves, grads, strict=True))
        for optimizer in (sgd, *adams):
            for leaf, grad in optimizer.grads:
                leaf.grad = grad
            optimizer.step()
            optimizer.zero_grad()
    assert logs['loss'].item() == pytest.approx(main.item())
    assert logs['discriminator'].item() == pytest.approx(critic.item())
    assert logs['adversarial'].item() == pytest.approx(fooled.item())
    state = twin.state_dict()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(
            value, state[key], rtol=1e-9, atol=1e-11, msg=key
        )
    assert all(p.grad is None for p in model.parameters())


def test_statistics_of_the_networks_move_once_per_step() -> None:
    model = build()
    train(model, optimizers(), steps=2)
    for peer in model.cohort.peers:
        assert peer.backbone.bn1.num_batches_tracked == 2


def test_what_each_phase_moves() -> None:
    peers = [toy_network('classification', width) for width in (4, 6)]
    model = in_float64(
        build_cohort(peers=peers, taps=TAPS, exchange=EXCHANGE)
    ).train()
    before = {k: v.clone() for k, v in model.named_parameters()}
    assert len(model.exchanges[0].transfer[0]) == 2

    def groups(**rates: float) -> set[str]:
        twin = copy.deepcopy(model)
        train(twin, optimizers(**rates))
        return moved(twin, before)

    assert groups(feature=0.0) == {'backbone', 'head'}
    both = {'backbone', 'discriminator', 'transfer'}
    assert groups(main=0.0) == both  # no classifier
    assert groups() == {*both, 'head'}


def test_without_feature_phase_it_is_mutual_learning() -> None:
    model = build()
    exchange = dict(type='mmkd.MutualExchange', temperature=3.0)
    other = build(exchange=exchange)
    other.load_state_dict(model.state_dict(), strict=False)
    sgd = optimizers()['main']
    train(model, optimizers(feature=0.0), steps=2)
    train(other, sgd, steps=2)
    state = model.state_dict()
    for key, value in other.state_dict().items():
        torch.testing.assert_close(value, state[key], msg=key)


def test_scores_are_logged() -> None:
    logs = train(build(), optimizers())
    for k in (0, 1):
        for name in ('score_real', 'score_fake'):
            assert 0 < logs[f'peer{k}.{name}'].item() < 1
        for name in ('loss_discriminator', 'loss_adversarial', 'loss_kd'):
            assert logs[f'peer{k}.{name}'].item() > 0
    own = [logs[f'peer{k}.loss_discriminator'].item() for k in (0, 1)]
    assert logs['discriminator'].item() == pytest.approx(sum(own))


def test_discriminators_stay_in_float32_in_mixed_precision() -> None:
    mixed = optimizers()
    mixed['main']['type'] = 'mmkd.AutocastOptimWrapper'
    logs, kinds = [], set()
    for config in (optimizers(), mixed):
        model = build_cohort(taps=TAPS, exchange=EXCHANGE).train()
        model.exchanges[0].discriminator[0].conv2.register_forward_hook(
            lambda module, args, score: kinds.add(score.dtype)
        )
        logs.append(train(model, config))
    assert kinds == {torch.float32}
    for key, value in logs[0].items():
        assert logs[1][key].item() == pytest.approx(value.item(), abs=0.05)
    assert logs[1]['loss'] != logs[0]['loss']


def test_wrong_optimizers_are_refused() -> None:
    model = build()
    config = optimizers()
    config['logit'] = config.pop('main')
    words = 'has .*logit; the model trains in the phases main, discriminator'
    with pytest.raises(KeyError, match=words):
        build_optim_wrapper(model, config)


def test_too_small_maps_are_refused_when_built() -> None:
    """The maps of 32x32 images are 1x1 in this network."""
    exchange = dict(EXCHANGE, discriminator=dict(preset='single_score'))
    words = r'maps of 1x1 are too small for kernel_size=2, strides=\(1, 2\)'
    with pytest.raises(ValueError, match=words):
        build(exchange=exchange)
    assert build(exchange=exchange, input_shape=(3, 96, 96))


def test_pooled_features_are_refused_when_built() -> None:
    with pytest.raises(ValueError, match='not one map .*before it is pooled'):
        build_cohort(
            taps=dict(feats='neck', logits='head.fc'), exchange=EXCHANGE
        )


def run(work_dir: Path, stop_after: int | None = None, **options: Any) -> Any:
    diary = Diary(stop_after)
    steps = dict(type='MultiStepLR', milestones=[1, 3], by_epoch=False)
    runner = make_runner(
        str(work_dir),
        cohort_config(taps=TAPS, exchange=EXCHANGE),
        'classification',
        steps=4,
        save_every=2,
        diary=diary,
        optim_wrapper=optimizers(),
        param_scheduler={phase: [dict(steps)] for phase in PHASES},
        **options,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


def same(one: Any, two: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            same(one[key], two[key])
    elif isinstance(one, (list, tuple)):
        for first, second in zip(one, two, strict=True):
            same(first, second)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two)
    else:
        assert one == two


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    """Networks, discriminators, all optimizers: bit for bit."""
    straight, whole = run(tmp_path / 'a')
    run(tmp_path / 'b', stop_after=2)
    resumed, after = run(tmp_path / 'b', resume=True)
    assert sorted(after.losses) == [2, 3]
    for step in (2, 3):
        assert after.losses[step] == whole.losses[step]
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    same(dict(one), dict(two))
    assert 'exchanges.0.discriminator.1.conv2.weight' in one
    for phase in PHASES:
        same(
            straight.optim_wrapper[phase].optimizer.state_dict(),
            resumed.optim_wrapper[phase].optimizer.state_dict(),
        )
    rate = straight.optim_wrapper['discriminator'].get_lr()['lr'][0]
    assert rate == pytest.approx(1e-5)
    saved = read_checkpoint(tmp_path / 'a/iter_4.pth')['state_dict']
    plain = build_network(toy_network('classification', 4))
    load_network_weights(plain, tmp_path / 'a/iter_4.pth', peer=1)
    for key, value in plain.state_dict().items():
        assert torch.equal(value, saved[f'cohort.peers.1.{key}'])
