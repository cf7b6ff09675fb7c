"""Ensemble weights of KDCL from held-out samples."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmkd.models.exchanges.best_targets import error_products
from mmkd.models.exchanges.knowledge_collaboration_exchange import (
    KnowledgeCollaborationExchange,
)
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped
from mmkd.utils.modes import evaluating


@HOOKS.register_module()
class HeldOutWeightsHook(Hook):
    """Compute the weights of KDCL-General anew every epoch.

    Before an epoch (or every ``interval`` iterations) all peers predict the
    held-out samples once, in eval mode; from their errors follow the weights
    of `KnowledgeCollaborationExchange` with ``target='general'``. They are
    saved with the model: a resumed run goes on with those of its epoch.

    Args:
        dataloader: config of a loader of classification samples that are
            neither test nor validation samples: a part of the training set,
            best one that is not trained on.
        interval: None for once an epoch, or a number of iterations.
    """

    def __init__(
        self,
        dataloader: DataLoader | Mapping[str, Any],
        interval: int | None = None,
    ) -> None:
        if interval is not None and interval < 1:
            raise ValueError(
                f'HeldOutWeightsHook: interval={interval} must be at least 1 '
                'iteration, or None for every epoch'
            )
        self.dataloader = dataloader
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Build the loader.

        Raises:
            ValueError: no exchange needs it, or it holds test samples.
        """
        exchanges = [
            part
            for part in unwrapped(runner.model).modules()
            if isinstance(part, KnowledgeCollaborationExchange)
            and part.target == 'general'
        ]
        if not exchanges:
            raise ValueError(
                'HeldOutWeightsHook: the model has no '
                "KnowledgeCollaborationExchange with target='general'; "
                'remove the hook from custom_hooks'
            )
        self.exchanges = exchanges
        if not isinstance(self.dataloader, DataLoader):
            self._refuse_test_samples(runner, self.dataloader)
            config = copy.deepcopy(dict(self.dataloader))
            config.setdefault(
                'sampler',
                dict(type='DefaultSampler', shuffle=False, round_up=False),
            )
            self.dataloader = runner.build_dataloader(config, seed=runner.seed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Compute the weights of this epoch."""
        if self.interval is None:
            self._update(runner, runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Compute the weights where the interval ends."""
        if self.interval and runner.iter % self.interval == 0:
            self._update(runner, runner.iter)

    def _update(self, runner: Runner, step: int) -> None:
        if all(int(part.weights_of) == step for part in self.exchanges):
            return  # resumed
        covariance = held_out_covariance(
            unwrapped(runner.model), self.dataloader
        )
        for part in self.exchanges:
            part.set_covariance(covariance, step)
            runner.logger.info(
                f'KDCL weights of the peers: '
                f'{[round(w, 4) for w in part.weights.tolist()]}'
            )

    @staticmethod
    def _refuse_test_samples(
        runner: Runner, config: Mapping[str, Any]
    ) -> None:
        held_out, indices = _samples_of(config)
        for key in ('val_dataloader', 'test_dataloader'):
            other = runner.cfg.get(key)
            if not other:
                continue
            samples, chosen = _samples_of(other)
            if samples == held_out and chosen in (None, indices):
                raise ValueError(
                    f'HeldOutWeightsHook: dataloader reads the samples of '
                    f'{key}, so test samples would steer the training; use '
                    'a part of the training set (indices=...)'
                )


def held_out_covariance(model: Any, dataloader: Any) -> torch.Tensor:
    """Return the mean of <p_i - onehot, p_j - onehot>, (M, M).

    Every process predicts its share of the samples.

    Args:
        model: an `OnlineDistiller` of classifiers, ``evaluate_peers=True``.
        dataloader: gives batches for ``model.val_step``.

    Raises:
        TypeError: the predictions carry no class probabilities of peers.
    """
    total, count = torch.zeros(()), torch.zeros(())
    with evaluating(model):
        for data in dataloader:
            samples = model.val_step(data)
            scores = torch.stack([_scores(sample) for sample in samples], 1)
            labels = torch.cat([sample.gt_label for sample in samples])
            total = total + error_products(scores.cpu(), labels.cpu())
            count = count + len(samples)
    device = next(model.parameters()).device
    total, count = total.to(device), count.to(device)
    all_reduce(total)
    all_reduce(count)
    return total / count


def _scores(sample: Any) -> torch.Tensor:
    """Return the probabilities (M, K) of all peers for one sample."""
    peers = getattr(sample, 'peer_samples', {})
    count = sum(name.startswith('peer') for name in peers)
    scores = [
        peers[f'peer{k}'].pred_score
        for k in range(count)
        if 'pred_score' in peers[f'peer{k}']
    ]
    if not scores or len(scores) < count:
        raise TypeError(
            'HeldOutWeightsHook needs "pred_score" of every peer: use '
            'classifiers of mmpretrain and model.evaluate_peers=True'
        )
    return torch.stack(scores)


def _samples_of(dataloader: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return what of a data set's config says which samples, and indices."""
    dataset = dict(dataloader['dataset'])
    for key in ('pipeline', 'metainfo', 'test_mode', 'lazy_init'):
        dataset.pop(key, None)
    return dataset, dataset.pop('indices', None)
