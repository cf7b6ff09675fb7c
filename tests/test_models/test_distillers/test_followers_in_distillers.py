"""Mean teachers and mean peers, in whole distillers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmkd.checkpoints.export import export_student
from mmkd.deploy import load_deployed
from mmkd.models.exchanges import Exchange, Transfer
from mmkd.registry import MODELS
from mmkd.toys import toy_batch
from tests.support.toy_cohort import batch_for, build_cohort, cohort_config
from tests.support.toy_runner import Diary, Interruption, make_runner

MEAN = dict(mean=dict(momentum=0.9))
ON = dict(logits='logits', mean='mean.logits')


@MODELS.register_module(force=True)
class TinyMeanTeacherExchange(Exchange):
    """Every peer learns from the mean of the other."""

    def transfers(self, peers: Any, aux: Any, batch: Any) -> list[Transfer]:
        self.seen = [peer['mean'] for peer in peers]
        return [Transfer(0, peers[1]['mean']), Transfer(1, peers[0]['mean'])]


def mean_cohort(**changes: Any) -> Any:
    exchange = dict(type='mmkd.TinyMeanTeacherExchange', on=ON)
    return build_cohort(exchange=exchange, followers=MEAN, **changes)


def step(model: Any, count: int = 4) -> dict[str, Any]:
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    raw = toy_batch('classification', count, (32, 32))
    return model.train().train_step(raw, optimizer)


def test_step_equals_one_by_hand() -> None:
    model = mean_cohort()
    before = [
        [value.detach().clone() for value in peer.parameters()]
        for peer in model.cohort.peers
    ]
    logs = step(model)
    assert set(logs) >= {'peer0.loss_kd', 'peer1.loss_kd'}
    assert all(not mean.requires_grad for mean in model.exchanges[0].seen)
    for peer, copied, old in zip(
        model.cohort.peers, model.followers['mean'], before, strict=True
    ):
        for value, mean, start in zip(
            peer.parameters(), copied.parameters(), old, strict=True
        ):
            expected = 0.9 * start + 0.1 * value.detach()
            torch.testing.assert_close(mean, expected)
            assert mean.grad is None


def test_they_start_after_the_initialisation() -> None:
    model = mean_cohort()
    model.init_weights()
    for key, value in model.followers['mean'][1].state_dict().items():
        assert torch.equal(value, model.cohort[1].state_dict()[key]), key


def test_deployed_mean_is_evaluated_and_exported(tmp_path: Path) -> None:
    deploy = dict(peer=1, weights='mean')
    model = mean_cohort(deploy=deploy)
    step(model)
    assert model.deployed is model.followers['mean'][1]
    samples = model.eval()(**batch_for(model, training=False), mode='predict')
    names = set(samples[0].peer_samples)
    assert names >= {'peer0', 'peer1', 'peer0.mean', 'peer1.mean', 'ensemble'}
    assert torch.equal(
        samples[0].pred_score, samples[0].peer_samples['peer1.mean'].pred_score
    )
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'run.pth')
    config = Config(
        dict(
            model=cohort_config(
                exchange=dict(type='mmkd.TinyMeanTeacherExchange', on=ON),
                followers=MEAN,
                deploy=deploy,
            ),
            default_scope='mmpretrain',
        )
    )
    out = tmp_path / 'mean.pth'
    export_student(config, tmp_path / 'run.pth', out, input_shape=(3, 32, 32))
    written = torch.load(out)['state_dict']
    for key, value in model.followers['mean'][1].state_dict().items():
        assert torch.equal(written[key], value), key
    found = load_deployed(config, tmp_path / 'run.pth').network
    assert torch.equal(
        found.head.fc.weight, model.followers['mean'][1].head.fc.weight
    )


def test_mean_teacher_of_a_student(build: Any) -> None:
    model = build(
        'classification',
        teacher=dict(follow='student', momentum=0.5),
        deploy=dict(weights='teacher'),
    )
    assert model.teachers == ()
    assert 'follows student' in model.summary()
    before = model.student.head.fc.weight.detach().clone()
    logs = step(model)
    assert float(logs['loss_kd']) >= 0
    mean = (before + model.student.head.fc.weight.detach()) / 2
    torch.testing.assert_close(model.deployed.head.fc.weight, mean)
    keys = [k for k in model.state_dict() if k.startswith('followers.')]
    assert 'followers.teacher.networks.0.head.fc.weight' in keys
    assert float(step(model)['loss_kd']) > 0


@pytest.mark.parametrize(
    ('changes', 'error', 'words'),
    [
        (
            dict(followers=None),
            KeyError,
            'reads "mean.logits" of the follower "mean"; .* has none',
        ),
        (
            dict(deploy=dict(weights='ema')),
            ValueError,
            "weights='ema'.*no such follower; known: own, mean",
        ),
        (
            dict(deploy=dict(peers=1)),
            TypeError,
            'deploy has the unknown key peers',
        ),
        (
            dict(followers=dict(mean=dict(decay=0.9))),
            TypeError,
            'model.followers.mean has the unknown key decay',
        ),
    ],
)
def test_mistakes(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    exchange = dict(type='mmkd.TinyMeanTeacherExchange', on=ON)
    given = dict(dict(exchange=exchange, followers=MEAN), **changes)
    with pytest.raises(error, match=words):
        build_cohort(**given)


def test_only_a_student_can_be_followed(build: Any) -> None:
    with pytest.raises(ValueError, match="follow='teacher'.*only 'student'"):
        build('classification', teacher=dict(follow='teacher'))


def test_views_of_their_own() -> None:
    """Queries of view 0, keys of view 1, as for MoCo."""
    model = build_cohort(
        exchange=dict(type='mmkd.TinyMeanTeacherExchange', on=ON),
        followers=dict(mean=dict(momentum=0.9, view=1)),
        peer_views=[0, 0],
    )
    data = batch_for(model)
    one, two = data['inputs'], data['inputs'].flip(-1)
    model.eval()
    seen = model.observe([one, two], data['data_samples'])
    for k, peer in enumerate(model.cohort.peers):
        copied = model.followers['mean'][k]
        expected = copied(two, mode='tensor')
        torch.testing.assert_close(
            seen.tensors[f'peer{k}.mean']['logits'], expected
        )
        torch.testing.assert_close(
            seen.tensors[f'peer{k}']['logits'], peer(one, mode='tensor')
        )
    with pytest.raises(ValueError, match=r'peer_views=\[0, 0\] needs 1'):
        model.observe([])


def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    config = cohort_config(
        exchange=dict(type='mmkd.TinyMeanTeacherExchange', on=ON),
        followers=dict(mean=dict(momentum=0.9, warmup=True, buffers='own')),
    )

    def run(name: str, stop: int | None = None, **options: Any) -> Any:
        runner = make_runner(
            str(tmp_path / name),
            config,
            'classification',
            steps=4,
            save_every=2,
            diary=Diary(stop),
            **options,
        )
        if stop is None:
            runner.train()
        else:
            with pytest.raises(Interruption):
                runner.train()
        return runner.model.state_dict()

    straight = run('straight')
    run('broken', 2)
    resumed = run('broken', resume=True)
    assert 'followers.mean.steps' in straight
    for key, value in straight.items():
        assert torch.equal(value, resumed[key]), key
