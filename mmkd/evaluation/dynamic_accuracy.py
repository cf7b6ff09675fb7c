"""Accuracy and cost of a cascade that stops early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmkd.registry import METRICS


@METRICS.register_module()
class DynamicAccuracy(BaseMetric):
    """Accuracy, mean cost and exits of a `DynamicPatchClassifier`.

    Gives ``dynamic/top<k>`` in %, ``dynamic/giga_macs``, the mean
    multiply-adds of an image in 10^9, and for every stage, from 1,
    ``dynamic/exit<s>``, the share of images in % that leave there.

    Args:
        topk: which accuracies.
        **kwargs: arguments of mmengine's ``BaseMetric``.

    Raises:
        KeyError: the samples are not those of a cascade.
    """

    default_prefix = 'dynamic'

    def __init__(self, topk: Sequence[int] = (1,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)

    def process(
        self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Note rank of the true class, stage and cost of every sample."""
        for sample in data_samples:
            if 'exit_stage' not in sample:
                raise KeyError(
                    'DynamicAccuracy: the samples have no "exit_stage"; use '
                    'it with model.type=mmkd.DynamicPatchClassifier, and '
                    '"Accuracy" with other classifiers'
                )
            score = sample['pred_score']
            own = score[sample['gt_label'].to(score.device)]
            rank = int((score > own).sum())
            self.results.append(
                (rank, int(sample['exit_stage']), float(sample['macs']))
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the means over all samples of all processes."""
        ranks, stages, costs = torch.tensor(results, dtype=torch.float64).T
        metrics = {
            f'top{k}': 100 * float((ranks < k).double().mean())
            for k in self.topk
        }
        metrics['giga_macs'] = float(costs.mean()) / 1e9
        for stage in range(1, int(stages.max()) + 1):
            share = (stages == stage).double().mean()
            metrics[f'exit{stage}'] = 100 * float(share)
        return metrics
