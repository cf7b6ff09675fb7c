"""Online knowledge distillation with diverse peers (OKDDip)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import (
    check_cohort,
    check_roles,
    logits_of,
    same_channels,
)
from mmkd.models.exchanges.mixing import mix, pooled
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    mean_of,
)
from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS


@MODELS.register_module()
class DiversePeersExchange(Exchange):
    """Auxiliary peers with personal targets teach a leader (OKDDip).

    For auxiliary peers a, c with pooled features h and projections W_q, W_k
    common to all peers: A[n, a, c] = softmax_c <W_q h_a, W_k h_c>,
    t_a = sum_c A[:, a, c] z_c (logits, own ones included);
    L = sum_a CE(z_a, y) + CE(z_L, y)
        + w [sum_a KL_T(t_a || z_a) + KL_T(mean_a z_a || z_L)],
    where KL_T is `KLDivLoss`. Nothing is detached: the targets' gradient is
    all that trains W_q and W_k, and the leader's reaches the other peers.
    The leader's features and logits teach nobody. Deploy the leader.
    Paper: https://arxiv.org/abs/1912.00350.

    Args:
        on: ``dict(feats=..., logits=...)``; feats are (N, D) or (N, D, ...),
            pooled here.
        temperature: T.
        ramp_epochs: of w.
        leader: index of the leader; negative ones count from the end.
        reduction: W_q and W_k give D // reduction channels.
        in_channels: D; None takes what the dry run saw.
        others: see `Exchange`.
    """

    def __init__(
        self,
        on: Mapping[str, str],
        temperature: float = 3.0,
        ramp_epochs: int = 80,
        leader: int = -1,
        reduction: int = 8,
        in_channels: int | None = None,
        detach_target: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(
            on,
            temperature,
            ramp_epochs=ramp_epochs,
            detach_target=detach_target,
            **others,
        )
        check_roles(self, 'feats', 'logits')
        if getattr(self.transfer_loss, 'detach_target', detach_target):
            raise ValueError(
                'DiversePeersExchange: detach_target=True would leave the '
                'attention untrained; set detach_target=False, in a '
                'transfer_loss too'
            )
        if reduction < 1:
            raise ValueError(
                f'DiversePeersExchange: reduction={reduction} must be at '
                'least 1; the paper has 8'
            )
        self.leader = leader
        self.reduction = reduction
        self.in_channels = in_channels

    def setup(self, spec: CohortSpec) -> None:
        """Build the projections."""
        check_cohort(self, spec, min_peers=3)
        count = spec.num_peers
        if not -count <= self.leader < count:
            raise ValueError(
                f'DiversePeersExchange: leader={self.leader}, but the cohort '
                f'has {count} peers; choose one of {-count}..{count - 1}'
            )
        self.auxiliary_peers = [
            i for i in range(count) if i != self.leader % count
        ]
        channels = self.in_channels
        if channels is None:
            seen = spec.channels('feats')
            seen = [seen[a] for a in self.auxiliary_peers]
            channels = same_channels(self, seen, 'feats')
        if channels < self.reduction:
            raise ValueError(
                f'DiversePeersExchange: reduction={self.reduction} leaves '
                f'nothing of {channels} channels; set reduction to at most '
                f'{channels}'
            )
        reduced = channels // self.reduction
        self.query = nn.Linear(channels, reduced, bias=False)
        self.key = nn.Linear(channels, reduced, bias=False)

    def attention(self, peers: Peers) -> torch.Tensor:
        """Return A (N, M-1, M-1); rows (last dimension) sum to 1."""
        feats = torch.stack(
            [pooled(peers[a]['feats']) for a in self.auxiliary_peers], 1
        )
        scores = self.query(feats) @ self.key(feats).transpose(1, 2)
        return at_least_float32(scores).softmax(2)

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer per auxiliary peer, then the leader's."""
        logits = logits_of(self, peers)
        others = [logits[a] for a in self.auxiliary_peers]
        attention = self.attention(peers)
        personal = [
            Transfer(a, mix(others, attention[:, row]))
            for row, a in enumerate(self.auxiliary_peers)
        ]
        return [*personal, Transfer(self.leader, mean_of(others))]
