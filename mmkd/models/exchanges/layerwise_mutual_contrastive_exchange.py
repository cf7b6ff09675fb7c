"""Mutual contrastive learning between the stages of the peers (L-MCL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort, check_roles
from mmkd.models.exchanges.sample_draws import DrawsSamples
from mmkd.models.exchanges.transfer import Batch, CohortSpec, Peers, Tensors
from mmkd.registry import MODELS
from mmkd.utils.modes import keep_modes
from mmkd.utils.settings import require_dict

ROLES = ('feats', 'logits', 'embeds', 'aggregated')


@MODELS.register_module()
class LayerwiseMutualContrastiveExchange(Exchange):
    """Contrast every stage of a peer with all stages of the others.

    L = sum_{i,j} CE(z_ij, y) + sum_i CE(z*_i, y)
    + sum_{i,j} KL_T(z*_j -> z_iS) + the terms of ``loss`` at weights lambda,

    z_ij the logits of stage j of peer i, z*_i its aggregated ones. The CE of
    the last stage is the peer's own task loss. lambda is what ``matching``
    gives for the features, a constant here: it is trained by
    `MetaOptimizationHook`, or not at all. Auxiliary classifiers, each
    evaluated: ``peer0.stage1``, ... and ``peer0.aggregated``, ...
    Paper: https://arxiv.org/abs/2207.11518.

    Args:
        on: names of ``feats`` (S refined features), ``logits`` (of S
            stages), ``embeds`` (of S stages) and ``aggregated`` (logits).
        loss: `LayerwiseMutualContrastiveLoss` with its settings.
        matching: `LayerMatchingNetwork`; its ``in_channels`` are filled in.
            None: all weights are 1.
        logit_loss: `AggregatedLogitKDLoss`; None leaves it out.
        loss_weight: factor on all but the cross entropies.

    Raises:
        TypeError, ValueError: ``on``, or a loss, is not of this form.
    """

    main_role = 'embeds'

    def __init__(
        self,
        on: Mapping[str, str],
        loss: nn.Module | Mapping[str, Any],
        matching: Mapping[str, Any] | None = None,
        logit_loss: nn.Module | Mapping[str, Any] | None = None,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(on, loss_weight=loss_weight, init_cfg=init_cfg)
        check_roles(self, *ROLES)
        self.loss = _built(loss)
        self.logit_loss = None if logit_loss is None else _built(logit_loss)
        if matching is not None:
            require_dict(
                'exchange.matching',
                matching,
                "type='mmkd.LayerMatchingNetwork'",
            )
        self._matching = matching
        self.matching: nn.Module | None = None

    def setup(self, spec: CohortSpec) -> None:
        """Build the matching network; name the auxiliary classifiers.

        Raises:
            ValueError: the peers do not have equally many stages, or their
                widths are not known.
        """
        check_cohort(self, spec)
        widths = self._widths(spec)
        if self._matching is not None:
            config = dict(self._matching)
            config.setdefault('in_channels', widths)
            self.matching = ROOT_MODELS.build(config)
            # trained by a step of its own, not by the common optimizer
            self.matching.requires_grad_(False)
        self.auxiliary_names = tuple(
            name
            for index, stages in enumerate(widths)
            for name in _names(index, len(stages))
        )

    def _widths(self, spec: CohortSpec) -> list[list[int]]:
        """Return the widths of the features, ``[peer][stage]``."""
        owner = type(self).__name__
        seen = [shapes.get('feats') for shapes in spec.shapes]
        given = (self._matching or {}).get('in_channels')
        if seen and all(isinstance(shapes, list) for shapes in seen):
            widths = [[int(shape[1]) for shape in s] for s in seen if s]
        elif isinstance(given, (list, tuple)):
            widths = [list(stages) for stages in given]
        else:
            raise ValueError(
                f'{owner}: the refined features ("{self.on["feats"]}") were '
                'not seen before training as a list of stages; read what '
                'FeatureRefinement gives, and give model.input_shape for a '
                'dry run or exchange.matching.in_channels=[[D, ...], ...] '
                '[peer][stage]'
            )
        if len({len(stages) for stages in widths}) > 1:
            raise ValueError(
                f'{owner}: the peers have {[len(s) for s in widths]} stages; '
                'name equally many in aux_heads.<refinement>.stages'
            )
        return widths

    # -- a step -------------------------------------------------------------

    def auxiliary(self, peers: Peers, batch: Batch) -> dict[str, Tensors]:
        """Return the logits of early stages, and the aggregated ones."""
        found: dict[str, Tensors] = {}
        for index, peer in enumerate(peers):
            logits = [*peer['logits'][:-1], peer['aggregated']]
            names = _names(index, len(logits))
            found.update(zip(names, logits, strict=True))
        return found

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return the contrastive terms and the logit loss."""
        with torch.no_grad():
            weights = self.pair_weights(peers)
        losses = dict(self.contrast(peers, batch, weights))
        if self.logit_loss is not None:
            losses['loss_logit_kd'] = self.logit_loss(
                [peer['logits'][-1] for peer in peers],
                [peer['aggregated'] for peer in peers],
            )
        return losses

    def pair_weights(self, peers: Peers) -> torch.Tensor | None:
        """Return lambda (N, S, N, S, B); None where nothing is matched."""
        if self.matching is None:
            return None
        return self.matching([peer['feats'] for peer in peers])

    def contrast(
        self, peers: Peers, batch: Batch, weights: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the loss."""
        embeds = [peer['embeds'] for peer in peers]
        return self.loss(embeds, batch['labels'], weights)

    # -- what the matching network is trained by ----------------------------

    def inner_loss(self, peers: Peers, batch: Batch) -> torch.Tensor:
        """Return the sum of the contrastive terms, lambda not detached.

        Banks are read, not written.
        """
        with keep_modes(self.loss):
            self.loss.eval()
            terms = self.contrast(peers, batch, self.pair_weights(peers))
        return self.loss_weight * torch.stack(list(terms.values())).sum()

    def outer_loss(self, peers: Peers, batch: Batch) -> torch.Tensor:
        """Return the cross entropy of all stages of all peers."""
        terms = [
            batch.hard_loss(logits)
            for peer in peers
            for logits in peer['logits']
        ]
        return torch.stack(terms).sum()


@MODELS.register_module()
class MemoryLayerwiseMutualContrastiveExchange(
    LayerwiseMutualContrastiveExchange, DrawsSamples
):
    """The same against banks of all training samples (L-MCL, ImageNet).

    Needs `DatasetLabelsHook` and ``sample_idx``, as
    `MemoryMutualContrastiveExchange` does. What is drawn for a step also
    serves the meta step after it. Paper: https://arxiv.org/abs/2207.11518.

    Args:
        on, matching, logit_loss, loss_weight, init_cfg: see
            `LayerwiseMutualContrastiveExchange`.
        loss: `MemoryLayerwiseMutualContrastiveLoss` with its settings.
        num_positives: P.
        num_negatives: K.
    """

    def __init__(
        self,
        on: Mapping[str, str],
        loss: nn.Module | Mapping[str, Any],
        num_positives: int = 1,
        num_negatives: int = 8192,
        **others: Any,
    ) -> None:
        super().__init__(on, loss, **others)
        self.num_positives = num_positives
        self.num_negatives = num_negatives
        self._drawn: tuple[torch.Tensor, torch.Tensor] | None = None

    def setup(self, spec: CohortSpec) -> None:
        """See the base class; check that there is a bank for every peer."""
        self.check_banks(spec)
        super().setup(spec)

    def contrast(
        self, peers: Peers, batch: Batch, weights: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """Draw samples in a step, take them again in its meta step."""
        if self.loss.training or self._drawn is None:
            self._drawn = self.draw(batch)
        embeds = [peer['embeds'] for peer in peers]
        return self.loss(embeds, *self._drawn, weights)


def _built(given: nn.Module | Mapping[str, Any]) -> Any:
    if isinstance(given, nn.Module):
        return given
    return ROOT_MODELS.build(dict(given))


def _names(index: int, num_stages: int) -> list[str]:
    """Return the names of the auxiliary classifiers of a peer."""
    early = [f'peer{index}.stage{k}' for k in range(1, num_stages)]
    return [*early, f'peer{index}.aggregated']
