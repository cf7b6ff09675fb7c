"""FFL in the distiller: three tasks, deployment, resuming, weight decay."""

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
from mmkd.toys import toy_network
from tests.support.toy_cohort import (
    batch_for,
    build_cohort,
    cohort_config,
    total,
)
from tests.support.toy_runner import Diary, Interruption, make_runner

TAPS = dict(
    classification=dict(feats='backbone.layer4', logits='head.fc'),
    segmentation=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    pose=dict(feats='head.final_layer:input', logits='head.final_layer'),
)
EXCHANGE = dict(
    type='mmkd.FeatureFusionExchange',
    on=dict(feats='feats', logits='logits'),
    ramp_epochs=0,
)
POSE = dict(EXCHANGE, transfer_loss=dict(type='mmkd.PixelwiseKLLoss'))
SHARED = dict(shared=['stem', 'stage1'])


def options(task: str = 'classification', **changes: Any) -> dict[str, Any]:
    exchange = POSE if task == 'pose' else EXCHANGE
    return dict(
        dict(taps=TAPS[task], exchange=exchange, cohort=SHARED), **changes
    )


@pytest.mark.parametrize('task', TAPS)
def test_every_task_learns_and_deploys_the_fused_classifier(task: str) -> None:
    model = build_cohort(task, **options(task, deploy='fused')).train()
    size = (64, 64)
    losses = model(**batch_for(model, task, size=size), mode='loss')
    for name in ('peer0.loss_kd', 'peer1.loss_kd', 'fused.loss_kd'):
        assert losses[name] > 0
    total(losses).backward()
    without = [k for k, p in model.named_parameters() if p.grad is None]
    assert without == []
    model.eval()
    batch = batch_for(model, task, training=False, size=size)
    deployed = model(**batch, mode='predict')
    every = deployed[0].peer_samples
    assert list(every) == ['peer0', 'peer1', 'fused', 'ensemble']
    key = dict(
        classification='pred_score', segmentation='seg_logits',
        pose='pred_instances',
    )[task]  # fmt: skip

    def values(sample: Any) -> torch.Tensor:
        found = getattr(sample, key)
        found = getattr(found, 'data', found)
        return torch.as_tensor(getattr(found, 'keypoint_scores', found))

    assert torch.equal(values(deployed[0]), values(every['fused']))
    assert not torch.equal(values(deployed[0]), values(every['peer0']))


def test_fused_predictions_are_those_of_the_head() -> None:
    model = build_cohort(**options(deploy='fused')).eval()
    batch = batch_for(model, training=False)
    seen = model.observe(batch['inputs'], batch['data_samples']).tensors
    feats = [seen[label]['feats'] for label in ('peer0', 'peer1')]
    expected = model.exchanges[0].fusion(feats).softmax(1)
    found = [s.pred_score for s in model(**batch, mode='predict')]
    torch.testing.assert_close(torch.stack(found), expected)


def test_unlike_peers() -> None:
    peers = [toy_network('classification', width) for width in (4, 6)]
    exchange = dict(EXCHANGE, fusion=dict(adapter_channels=8))
    model = build_cohort(
        peers=peers, taps=TAPS['classification'], exchange=exchange
    )
    fusion = model.exchanges[0].fusion
    assert fusion.in_channels == [32, 48]
    assert fusion.depthwise.in_channels == 16
    losses = model.train()(**batch_for(model), mode='loss')
    assert losses['fused.loss_task'] > 0


def test_peers_that_cannot_be_fused_are_refused_when_built() -> None:
    first, second = (toy_network('classification', 4) for _ in range(2))
    second.backbone.strides = (1, 2, 2, 1)
    taps = TAPS['classification']
    shape = (3, 64, 64)
    words = r'different spatial sizes \(2x2, 4x4\).*output stride or set'
    with pytest.raises(ValueError, match=words):
        build_cohort(
            peers=[first, second],
            taps=taps,
            exchange=EXCHANGE,
            input_shape=shape,
        )
    exchange = dict(EXCHANGE, fusion=dict(resize='pool'))
    assert build_cohort(
        peers=[first, second],
        taps=taps,
        exchange=exchange,
        input_shape=shape,
    )
    with pytest.raises(ValueError, match='tap features of the same height'):
        build_cohort(
            'segmentation',
            taps=dict(feats='backbone.layer1', logits='decode_head.conv_seg'),
            exchange=EXCHANGE,
            input_shape=(3, 64, 64),
        )


def test_fusion_head_has_a_weight_decay_of_its_own() -> None:
    model = build_cohort(**options())
    config = dict(
        optimizer=dict(type='SGD', lr=0.1, weight_decay=1e-4),
        paramwise_cfg=dict(
            custom_keys={'exchanges.0.fusion': dict(decay_mult=0.1)},
            bypass_duplicate=True,
        ),
    )
    groups = build_optim_wrapper(model, config).optimizer.param_groups
    decays = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    fusion = {id(p) for p in model.exchanges[0].fusion.parameters()}
    assert decays.keys() == {id(p) for p in model.parameters()}
    for key, decay in decays.items():
        assert decay == pytest.approx(1e-5 if key in fusion else 1e-4)


def run(work_dir: Path, stop_after: int | None = None, **more: Any) -> Any:
    diary = Diary(stop_after)
    exchange = dict(copy.deepcopy(EXCHANGE), ramp_epochs=4)
    runner = make_runner(
        str(work_dir),
        cohort_config(**options(exchange=exchange)),
        'classification',
        steps=9,
        by_epoch=True,
        diary=diary,
        **more,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    """Weights, statistics, ramp: bit for bit; a peer is a plain network."""
    straight, whole = run(tmp_path / 'a')
    run(tmp_path / 'b', stop_after=6)
    resumed, after = run(tmp_path / 'b', resume=True)
    assert sorted(after.losses) == [6, 7, 8]
    for step in after.losses:
        assert after.losses[step] == whole.losses[step]
    ramps = [whole.losses[step]['ramp'] for step in (0, 3, 6)]
    assert ramps[0] < ramps[1] < ramps[2] < 1
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key
    assert 'exchanges.0.fusion.fc.weight' in one
    path = tmp_path / 'a/epoch_3.pth'
    saved = read_checkpoint(path)['state_dict']
    plain = build_network(toy_network('classification', 4))
    load_network_weights(plain, path, peer=1)
    for key, value in plain.state_dict().items():
        assert torch.equal(value, saved[f'cohort.peers.1.{key}'])
