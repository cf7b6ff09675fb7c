"""Cohorts in real runners: all tasks, exact resuming, a user's exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmkd.checkpoints.read import read_checkpoint
from mmkd.deploy import load_network_weights
from mmkd.networks import build_network
from mmkd.toys import TASKS, toy_network
from tests.support.toy_cohort import LOGITS, cohort_config
from tests.support.toy_runner import Diary, Interruption, make_runner

PEER_METRIC = dict(
    type='mmkd.PeerMetric',
    metric=dict(type='mmseg.IoUMetric', iou_metrics=['mIoU']),
)


@pytest.mark.parametrize('task', TASKS)
def test_two_steps(tmp_path: Path, task: str) -> None:
    """Dense, list and heat-map transfers move every parameter."""
    diary = Diary()
    model = cohort_config(task, input_shape=(3, 64, 64), deploy=1)
    runner = make_runner(
        str(tmp_path), model, task, steps=2, diary=diary, save_every=2
    )
    first = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    for logged in diary.losses.values():
        own = [k for k in logged if 'loss' in k and k != 'loss']
        assert {'peer0.loss_kd', 'peer1.loss_kd'} < set(own)
        assert logged['loss'] == pytest.approx(sum(logged[k] for k in own))
    saved = read_checkpoint(tmp_path / 'iter_2.pth')['state_dict']
    assert saved.keys() == first.keys()
    for index in (0, 1):
        for path in ('backbone.conv1', LOGITS[task]):
            key = f'cohort.peers.{index}.{path}.weight'
            assert not torch.equal(saved[key], first[key])
        plain = build_network(toy_network(task, 4))
        for peer in (index, index - 2):  # -1 is the last
            load_network_weights(plain, tmp_path / 'iter_2.pth', peer=peer)
            for key, value in plain.state_dict().items():
                assert torch.equal(value, saved[f'cohort.peers.{index}.{key}'])
                value.zero_()


def run(work_dir: Path, stop_after: int | None = None, **options: Any) -> Any:
    torch.manual_seed(len(str(work_dir)) + bool(stop_after))
    peers = [toy_network('segmentation', 4) for _ in range(2)]
    model = cohort_config(
        'segmentation',
        peers,
        cohort=dict(shared=['stem', 'stage1']),
        exchange=[
            dict(type='mmkd.MutualExchange', ramp_epochs=4),
            dict(type='mmkd.TinyMovingExchange'),
        ],
        deploy='best',
    )
    diary = Diary(stop_after)
    hook = dict(type='mmkd.BestPeerHook', metric='mIoU')
    runner = make_runner(
        str(work_dir),
        model,
        by_epoch=True,
        steps=9,
        val_interval=1,
        diary=diary,
        hooks=[hook],
        val_evaluator=PEER_METRIC,
        **options,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    """Weights, best peer, buffers of the exchange, ramp: bit for bit."""
    straight, whole = run(tmp_path / 'a')
    _, before = run(tmp_path / 'b', stop_after=6)
    resumed, after = run(tmp_path / 'b', resume=True)
    assert sorted(before.losses) == list(range(6))
    assert sorted(after.losses) == list(range(6, 9))
    for step in range(9):
        part = before if step < 6 else after
        assert part.losses[step] == whole.losses[step], step
    ramps = [whole.losses[step]['ramp'] for step in (0, 3, 6)]
    assert ramps[0] < ramps[1] < ramps[2] < 1
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key
    moved = 'exchanges.1.average'
    assert float(one[moved]) != 0
    history, _ = straight.message_hub.get_scalar('val/mIoU').data
    for peer in ('peer0', 'peer1', 'ensemble'):
        assert f'val/{peer}/mIoU' in straight.message_hub.log_scalars
    assert len(history) >= 3


def test_best_peer_is_deployed(tmp_path: Path) -> None:
    runner, _ = run(tmp_path)
    scalars = runner.message_hub.log_scalars
    last = [scalars[f'val/peer{index}/mIoU'].data[0][-1] for index in (0, 1)]
    assert runner.model.deployed_index == last.index(max(last))
    assert scalars['val/mIoU'].data[0][-1] == max(last)


def test_moving_averages_of_a_shared_cohort(tmp_path: Path) -> None:
    """EMAHook's copy shares its trunk, too, and follows the cohort."""
    model = cohort_config(cohort=dict(shared=['stem', 'stage1']))
    runner = make_runner(
        str(tmp_path),
        model,
        'classification',
        steps=3,
        hooks=[dict(type='EMAHook', momentum=0.5)],
    )
    runner.train()
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'EMAHook']
    average = hook.ema_model.module
    first, second = (peer.backbone for peer in average.cohort.peers)
    assert first.conv1 is second.conv1
    trained = runner.model.cohort[0].backbone.conv1.weight
    assert not torch.equal(first.conv1.weight, trained)
    state = read_checkpoint(tmp_path / 'iter_3.pth')
    assert state['state_dict'].keys() == runner.model.state_dict().keys()


USER_EXCHANGE = """
from mmkd.models.exchanges import Exchange, Transfer
from mmkd.registry import MODELS


@MODELS.register_module()
class FollowTheFirst(Exchange):
    def transfers(self, peers, aux, batch):
        first = peers[0]['logits']
        return [Transfer(k, first) for k in range(1, len(peers))]
"""


def test_user_exchange_of_ten_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered by custom_imports, trained by tools/train.py's runner."""
    (tmp_path / 'my_exchange_of_a_test.py').write_text(USER_EXCHANGE)
    monkeypatch.syspath_prepend(tmp_path)
    config = Config(
        dict(
            custom_imports=dict(
                imports=['my_exchange_of_a_test'], allow_failed_imports=False
            ),
            model=cohort_config(exchange=dict(type='mmkd.FollowTheFirst')),
        )
    )
    path = tmp_path / 'config.py'
    config.dump(path)
    loaded = Config.fromfile(path)
    diary = Diary()
    make_runner(
        str(tmp_path / 'w'),
        loaded.model,
        'classification',
        steps=2,
        diary=diary,
    ).train()
    losses = diary.losses[1]
    assert losses['peer1.loss_kd'] > 0
    assert 'peer0.loss_kd' not in losses


def test_mixed_precision_without_loss_scale(tmp_path: Path) -> None:
    diary = Diary()
    make_runner(
        str(tmp_path),
        cohort_config(cohort=dict(shared=['stem', 'stage1'])),
        'classification',
        steps=2,
        diary=diary,
        optim_wrapper=dict(
            type='mmkd.AutocastOptimWrapper',
            optimizer=dict(type='SGD', lr=0.01),
        ),
    ).train()
    assert diary.losses[1]['peer1.loss_kd'] > 0
