"""Predictions of a cohort: deployed, every peer, classifiers, the mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from torch.nn import functional

from mmkd.toys import toy_batch, toy_network
from tests.support.float64 import in_float64
from tests.support.toy_cohort import SIZE, batch_for, build_cohort
from tests.support.toy_runner import SCOPES

MEAN = dict(type='mmkd.TinyMeanExchange')


def predictor(task: str = 'classification', **changes: Any) -> Any:
    changes.setdefault('exchange', MEAN)
    model = build_cohort(task, 3, **changes).eval()
    for parameter in model.parameters():  # untrained peers would agree
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@torch.no_grad()
def predict(model: Any, task: str = 'classification', **options: Any) -> Any:
    batch = batch_for(model, task, training=False, **options)
    return model(**batch, mode='predict'), batch


def scores(samples: list[Any], name: str | None = None) -> torch.Tensor:
    return torch.stack(
        [(s.peer_samples[name] if name else s).pred_score for s in samples]
    )


@pytest.mark.parametrize('shared', [(), ('stem', 'stage1', 'stage2')])
def test_every_peer_predicts_as_alone(shared: Any) -> None:
    model = predictor(cohort=dict(shared=list(shared)), deploy=1)
    samples, batch = predict(model)
    names = {'peer0', 'peer1', 'peer2', 'mean', 'ensemble'}
    assert set(samples[0].peer_samples) == names
    logits = []
    for index, peer in enumerate(model.cohort.peers):
        with torch.no_grad():
            fresh = [sample.new() for sample in batch['data_samples']]
            alone = peer(batch['inputs'], fresh, mode='predict')
            logits.append(
                peer.head.fc(peer.neck(peer.backbone(batch['inputs']))[0])
            )
        assert torch.equal(scores(samples, f'peer{index}'), scores(alone))
    assert torch.equal(scores(samples), scores(samples, 'peer1'))
    mean = functional.softmax(torch.stack(logits).mean(0), 1)
    torch.testing.assert_close(scores(samples, 'ensemble'), mean)
    torch.testing.assert_close(scores(samples, 'mean'), mean)


def test_samples_keep_their_labels() -> None:
    samples, batch = predict(predictor())
    for sample, given in zip(samples, batch['data_samples'], strict=True):
        assert torch.equal(sample.gt_label, given.gt_label)
        assert sample.sample_idx == given.sample_idx
        assert 'pred_score' not in given


def test_deployed_classifier_and_best_peer() -> None:
    model = predictor(deploy='mean')
    samples, _ = predict(model)
    assert torch.equal(scores(samples), scores(samples, 'mean'))
    model.evaluate_peers = False
    alone, _ = predict(model)
    assert torch.equal(scores(alone), scores(samples))
    assert 'peer_samples' not in alone[0]

    model = predictor(deploy='best')
    model.set_best_peer(2)
    samples, _ = predict(model)
    assert torch.equal(scores(samples), scores(samples, 'peer2'))


def test_only_the_deployed_peer_runs_if_asked() -> None:
    model = predictor(evaluate_peers=False)
    model.cohort[1].backbone.forward = None
    samples, _ = predict(model)
    assert 'peer_samples' not in samples[0]


def test_peers_of_other_widths_have_an_ensemble() -> None:
    widths = [toy_network('classification', width) for width in (4, 8)]
    model = build_cohort(peers=widths).eval()
    samples, _ = predict(model)
    assert set(samples[0].peer_samples) == {'peer0', 'peer1', 'ensemble'}


@pytest.mark.parametrize('slide', [False, True])
def test_segmentation(slide: bool) -> None:
    network = toy_network('segmentation', 4)
    if slide:
        network.test_cfg = dict(
            mode='slide', crop_size=(32, 32), stride=(16, 16)
        )
    model = in_float64(predictor('segmentation'))
    for peer in model.cohort.peers:
        peer.test_cfg = network.test_cfg
    samples, batch = predict(model, 'segmentation', size=(64, 48))
    peers = [
        torch.stack(
            [s.peer_samples[f'peer{k}'].seg_logits.data for s in samples]
        )
        for k in range(3)
    ]
    assert peers[0].shape == (2, 8, 64, 48)
    # resizing and averaging over windows are linear
    for name in ('ensemble', 'mean'):
        found = torch.stack(
            [s.peer_samples[name].seg_logits.data for s in samples]
        )
        torch.testing.assert_close(
            found, torch.stack(peers).mean(0), rtol=1e-8, atol=1e-8
        )
        labels = samples[0].peer_samples[name].pred_sem_seg.data
        assert torch.equal(labels, found[0].argmax(0, keepdim=True))


@pytest.mark.parametrize('flip', [False, True])
def test_pose(flip: bool) -> None:
    model = predictor(
        'pose',
        exchange=dict(MEAN, transfer_loss=dict(type='mmkd.TinyTransferLoss')),
        input_shape=(3, 64, 64),
    )
    in_float64(model)
    for peer in model.cohort.peers:
        peer.test_cfg = dict(
            flip_test=flip, flip_mode='heatmap', output_heatmaps=True
        )
    samples, _ = predict(model, 'pose', size=(64, 64))
    maps = {
        name: torch.stack(
            [s.peer_samples[name].pred_fields.heatmaps for s in samples]
        )
        for name in samples[0].peer_samples
    }
    mean = torch.stack([maps[f'peer{k}'] for k in range(3)]).mean(0)
    assert not torch.allclose(maps['peer0'], mean, rtol=1e-2)
    for name in ('ensemble', 'mean'):
        torch.testing.assert_close(maps[name], mean, rtol=1e-8, atol=1e-8)
        assert samples[0].peer_samples[name].pred_instances is not None


def test_detectors_have_peers_but_no_ensemble() -> None:
    model = predictor('detection', exchange=dict(type='mmkd.MutualExchange'))
    samples, batch = predict(model, 'detection', size=(64, 64))
    assert set(samples[0].peer_samples) == {'peer0', 'peer1', 'peer2'}
    fresh = [sample.new() for sample in batch['data_samples']]
    with torch.no_grad():
        alone = model.cohort[2](batch['inputs'], fresh, mode='predict')
    found = samples[0].peer_samples['peer2'].pred_instances
    assert torch.equal(found.bboxes, alone[0].pred_instances.bboxes)


def test_tensor_mode_is_that_of_the_deployed_peer() -> None:
    model = predictor(deploy=2)
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        found = model(images)
        expected = model.cohort[2](images)
    assert torch.equal(found[0], expected[0])


def test_metrics_of_all_in_one_pass() -> None:
    """PeerMetric on the samples = the metric on each one's own."""
    model = predictor(deploy=1)
    with DefaultScope.overwrite_default_scope(SCOPES['classification']):
        batch = toy_batch('classification', 6, SIZE, split='val')
        metric = dict(type='mmpretrain.Accuracy', topk=(1, 2))
        evaluator = Evaluator(dict(type='mmkd.PeerMetric', metric=metric))
        with torch.no_grad():
            samples = model.val_step(batch)
        evaluator.process(samples, batch)
        found = evaluator.evaluate(6)
        labels = torch.cat([sample.gt_label for sample in samples])
    for name in ('peer0', 'peer1', 'peer2', 'mean', 'ensemble'):
        right = scores(samples, name).argmax(1) == labels
        expected = 100 * float(right.float().mean())
        assert found[f'{name}/accuracy/top1'] == pytest.approx(expected)
    assert found['accuracy/top1'] == found['peer1/accuracy/top1']
