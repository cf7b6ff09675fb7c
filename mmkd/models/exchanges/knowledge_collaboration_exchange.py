"""Online knowledge distillation via collaborative learning (KDCL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.best_targets import (
    ensemble_weights,
    linear_target,
    min_logit_target,
    naive_target,
)
from mmkd.models.exchanges.checks import check_cohort, logits_of
from mmkd.models.exchanges.mixing import mix
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    mean_of,
)
from mmkd.models.losses.label_maps import downsample_labels
from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.shapes import check_several

_RULES = dict(
    naive=naive_target, linear=linear_target, minlogit=min_logit_target
)
_TARGETS = (*_RULES, 'general', 'mean')


@MODELS.register_module()
class KnowledgeCollaborationExchange(Exchange):
    """All peers learn from one target made of all logits (KDCL).

    L_i = CE(z_i, y) + KL_T(z* || z_i), where KL_T is `KLDivLoss` and z*,
    detached, is per sample (and position):
      naive     the logits of the peer with the smallest CE;
      linear    sum_m a_m z_m of the smallest CE, a >= 0, sum a = 1;
      minlogit  z*_c = min_m (z_mc - z_my);
      general   sum_m w_m z_m, w = C^-1 1 / (1^T C^-1 1), with C_ij the mean
                of <p_i - onehot, p_j - onehot> over held-out samples, anew
                every epoch (`HeldOutWeightsHook`);
      mean      the plain mean.
    Every peer sees its own augmentation: give one view per peer. Paper:
    "Online Knowledge Distillation via Collaborative Learning", CVPR 2020.

    Args:
        on: logits of the peers.
        target: one of the above. The first three need the labels.
        temperature: T.
        others: see `Exchange`.

    Buffers: for ``general``, ``weights`` (M,) and ``weights_of``, the epoch
    or iteration for which they were computed (-1: never).
    """

    weights: torch.Tensor
    weights_of: torch.Tensor

    def __init__(
        self,
        on: str | Mapping[str, str] = 'logits',
        target: str = 'linear',
        temperature: float = 2.0,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, **others)
        if target not in _TARGETS:
            raise ValueError(
                f'KnowledgeCollaborationExchange: target={target!r}; choose '
                f'one of {", ".join(_TARGETS)}'
            )
        self.target = target
        self._weights_known = False

    def setup(self, spec: CohortSpec) -> None:
        """Create the buffers."""
        check_cohort(self, spec)
        if self.target == 'general':
            uniform = torch.full((spec.num_peers,), 1 / spec.num_peers)
            self.register_buffer('weights', uniform)
            self.register_buffer('weights_of', torch.tensor(-1))

    def set_covariance(self, covariance: torch.Tensor, step: int) -> None:
        """Compute the weights of ``general``.

        Args:
            covariance: C (M, M).
            step: epoch or iteration they are for.
        """
        self.weights.copy_(ensemble_weights(covariance))
        self.weights_of.fill_(step)

    @torch.no_grad()
    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer per peer, all with the same target."""
        logits = logits_of(self, peers)
        if self.target == 'mean':
            target = mean_of(logits)
        elif self.target == 'general':
            self._require_weights()
            target = mix(logits, self.weights)
        else:
            target = self._by_rule(logits, batch['labels'])
        return [Transfer(i, target) for i in range(len(peers))]

    def _require_weights(self) -> None:
        """Stop training with weights that were never computed."""
        if not self.training or self._weights_known:
            return
        self._weights_known = int(self.weights_of) >= 0
        if not self._weights_known:
            raise ValueError(
                "KnowledgeCollaborationExchange: target='general' needs "
                "dict(type='mmkd.HeldOutWeightsHook', dataloader=...) in "
                'custom_hooks, which computes its weights'
            )

    def _by_rule(
        self, logits: list[Tensors], labels: torch.Tensor
    ) -> torch.Tensor:
        """Apply a rule; positions without a label get the mean."""
        if not isinstance(logits[0], torch.Tensor):
            raise ValueError(
                f'KnowledgeCollaborationExchange: target={self.target!r} '
                'needs one label per logit vector, but the logits are a list '
                "of maps, as of dense detectors; set target='mean'"
            )
        stacked = at_least_float32(torch.stack(logits))  # type: ignore[arg-type]
        check_several(
            f'KnowledgeCollaborationExchange with target={self.target!r}',
            stacked,
            "set target='mean' and transfer_loss=dict(type='mmkd.KLDivLoss', "
            'sigmoid=True) for heads with one output',
            2,
        )
        labels = self._fitting(labels, stacked.shape[1:])
        vectors = stacked.movedim(2, -1)  # (M, N, ..., K)
        known = (labels >= 0) & (labels < vectors.shape[-1])
        best = _RULES[self.target](
            vectors.flatten(1, -2), labels.where(known, 0).flatten()
        )
        target = best.view(vectors.shape[1:])
        target = target.where(known[..., None], vectors.mean(0))
        return target.movedim(-1, 1)

    def _fitting(
        self, labels: torch.Tensor, shape: torch.Size
    ) -> torch.Tensor:
        """Return integer labels at the positions of logits (N, K, ...).

        Raises:
            ValueError: soft labels, or labels of other positions.
        """
        kind = labels.dtype
        if kind.is_floating_point or kind == torch.bool:
            raise ValueError(
                f'KDCL with target={self.target!r} needs integer labels, got '
                f'{kind} {tuple(labels.shape)}; mixup and label smoothing of '
                "the data give soft labels: drop them, or set target='mean'"
            )
        if labels.ndim == 3 and len(shape) == 4:
            labels = downsample_labels(labels, shape)
        if labels.shape != (shape[0], *shape[2:]):
            raise ValueError(
                f'KDCL with target={self.target!r}: labels '
                f'{tuple(labels.shape)} do not fit logits {tuple(shape)}; '
                "tap the logits that the labels are for, or set target='mean'"
            )
        return labels
