"""PeerDistance: closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.evaluation import PeerDistance


def sample(**scores: list[float]) -> dict[str, Any]:
    peers = {k: dict(pred_score=torch.tensor(v)) for k, v in scores.items()}
    return dict(peer_samples=peers)


def test_mean_over_pairs_and_images() -> None:
    metric = PeerDistance()
    one, two = [1.0, 0.0], [0.0, 1.0]
    metric.process(None, [sample(peer0=one, peer1=one, peer2=two)])
    metric.process(None, [sample(peer0=one, peer1=one, peer2=one)])
    expected = (2 * 2**0.5 / 3 + 0) / 2
    found = metric.evaluate(2)
    assert found == {'peers/distance': pytest.approx(expected)}


def test_what_is_no_peer_does_not_count() -> None:
    metric = PeerDistance()
    others = {'peer0.mean': dict(pred_score=torch.tensor([0.0, 1.0]))}
    given = sample(peer0=[1.0, 0.0], peer1=[1.0, 0.0], ensemble=[0.0, 1.0])
    given['peer_samples'].update(others)
    metric.process(None, [given])
    assert metric.evaluate(1) == {'peers/distance': 0}


def test_plain_networks_and_other_tasks() -> None:
    metric = PeerDistance()
    metric.process(None, [dict(pred_score=torch.ones(2))])
    assert metric.compute_metrics(metric.results) == {}
    with pytest.raises(ValueError, match='no pred_score; it compares prob'):
        metric.process(None, [dict(peer_samples=dict(peer0={}, peer1={}))])
