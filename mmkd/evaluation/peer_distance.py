"""How far apart the predictions of a cohort's peers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmkd.evaluation.peer_metric import PEER
from mmkd.registry import METRICS


@METRICS.register_module()
class PeerDistance(BaseMetric):
    """Diversity of peers: mean Euclidean distance of their predictions.

    ``peers/distance`` is the mean over images and pairs of peers of
    ||p_i - p_j||, p the predicted probabilities (N, K): 0 where all peers
    say the same, at most sqrt(2). Data samples carry ``peer_samples``, as
    `PeerMetric` reads them; those of a plain network have none, and nothing
    is logged.

    Raises:
        ValueError: the predictions are not ``pred_score`` of classification.
    """

    default_prefix = 'peers'

    def process(
        self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Note the distance of every image."""
        for sample in data_samples:
            peers = sample.get('peer_samples') or {}
            scores = [
                _score(peers[name]) for name in peers if PEER.fullmatch(name)
            ]
            pairs = [
                float((one - two).norm())
                for one, two in combinations(scores, 2)
            ]
            if pairs:
                self.results.append(sum(pairs) / len(pairs))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """Return the mean over images."""
        if not results:
            return {}
        return dict(distance=sum(results) / len(results))


def _score(sample: Any) -> torch.Tensor:
    score = sample.get('pred_score')
    if score is None:
        raise ValueError(
            'PeerDistance: the predictions have no pred_score; it compares '
            'probabilities of classes: leave it out of val_evaluator'
        )
    return score
