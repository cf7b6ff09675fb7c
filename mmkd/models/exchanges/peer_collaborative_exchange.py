"""Peer collaborative learning (PCL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort, check_roles, logits_of
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
)
from mmkd.models.heads.peer_ensemble_head import PeerEnsembleHead
from mmkd.registry import MODELS

_RAMPS = ('sigmoid', 'step')


@MODELS.register_module()
class PeerCollaborativeExchange(Exchange):
    """Peers learn from their ensemble and from mean peers (PCL).

    z_E = A [h_1; ...; h_M] + a is one more classifier (`PeerEnsembleHead`),
    z~_j the logits of the moving average of peer j on its own view;
    L = CE(z_E, y) + sum_i {CE(z_i, y) + w [KL_T(z_E || z_i)
        + 1/(M-1) sum_{j != i} KL_T(z~_j || z_i)]},
    where KL_T is `KLDivLoss`, all targets detached, the features h_i not.
    The ensemble is the auxiliary classifier ``peer_ensemble``, which can be
    deployed. The averages are ``followers`` of the distiller, and the views
    its ``peer_views``. Paper: https://arxiv.org/abs/2006.04147.

    Args:
        on: ``dict(feats=..., logits=..., mean=...)``; feats are (N, D) or
            (N, D, ...), pooled here; ``mean`` is ``'<follower>.<logits>'``.
            Without it nobody learns from mean peers.
        temperature: T.
        ramp_epochs: R of w.
        ramp_form: ``'sigmoid'``, exp(-5 (1 - e/R)^2) up to epoch e = R; or
            ``'step'``, 0 up to it (nearly what the public code does). Both
            are 1 afterwards.
        ensemble_weight: factor on what is learnt from the ensemble.
        mean_weight: factor on what is learnt from mean peers.
        in_channels: D, or one per peer; None takes what the dry run saw.
        num_classes: K; None takes what the dry run saw.
        others: see `Exchange`.
    """

    auxiliary_names = ('peer_ensemble',)

    def __init__(
        self,
        on: Mapping[str, str],
        temperature: float = 3.0,
        ramp_epochs: int = 80,
        ramp_form: str = 'sigmoid',
        ensemble_weight: float = 1.0,
        mean_weight: float = 1.0,
        in_channels: int | Sequence[int] | None = None,
        num_classes: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, ramp_epochs=ramp_epochs, **others)
        mean = ['mean'] if 'mean' in self.on else []
        check_roles(self, 'feats', 'logits', *mean)
        if ramp_form not in _RAMPS:
            raise ValueError(
                f'PeerCollaborativeExchange: ramp_form={ramp_form!r} is not '
                f'known; choose one of {", ".join(_RAMPS)}'
            )
        self.ramp_form = ramp_form
        self.ensemble_weight = ensemble_weight
        self.mean_weight = mean_weight
        self.in_channels = in_channels
        self.num_classes = num_classes

    def setup(self, spec: CohortSpec) -> None:
        """Build the classifier of the ensemble."""
        check_cohort(self, spec)
        channels = self.in_channels
        if channels is None:
            channels = spec.channels('feats')
        if isinstance(channels, int):
            channels = [channels] * spec.num_peers
        classes = self.num_classes or spec.channels('logits')[0]
        self.ensemble = PeerEnsembleHead(channels, classes)

    def ramp(self, batch: Batch) -> float:
        """Return w."""
        if self.ramp_form == 'step':
            return float(batch['epoch'] > self.ramp_epochs)
        return super().ramp(batch)

    def auxiliary(self, peers: Peers, batch: Batch) -> dict[str, Tensors]:
        """Return the logits of the ensemble."""
        feats = [peer['feats'] for peer in peers]
        return {'peer_ensemble': self.ensemble(feats)}

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return M transfers from the ensemble, M (M-1) from mean peers."""
        indices = range(len(logits_of(self, peers)))
        from_ensemble = [
            Transfer(i, aux['peer_ensemble'], self.ensemble_weight)
            for i in indices
        ]
        if 'mean' not in self.on:
            return from_ensemble
        share = self.mean_weight / (len(peers) - 1)
        return from_ensemble + [
            Transfer(i, peers[j]['mean'], share)
            for i in indices
            for j in indices
            if j != i
        ]
