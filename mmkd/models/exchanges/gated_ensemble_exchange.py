"""Knowledge distillation by an on-the-fly native ensemble (ONE)."""

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
)
from mmkd.registry import MODELS


@MODELS.register_module()
class GatedEnsembleExchange(Exchange):
    """Branches learn from their gated ensemble (ONE).

    g = softmax(ReLU(BN(Linear(avgpool(F))))) in (N, M) from the shared trunk
    F, one weight per sample and branch; z_E = sum_i g_i z_i;
    L = sum_i CE(z_i, y) + CE(z_E, y) + w sum_i KL_T(z_E || z_i), where KL_T
    is `KLDivLoss`. The target is detached: the gate learns from its own CE.
    The ensemble is the auxiliary classifier ``gated``, which can be deployed.
    Paper: https://arxiv.org/abs/1806.04606.

    Args:
        on: ``dict(trunk=..., logits=...)``; the trunk of the first peer is
            read, (N, C, ...).
        temperature: T.
        ramp_epochs: of w; the paper's code has 80.
        in_channels: C; None takes what the dry run saw.
        others: see `Exchange`.
    """

    auxiliary_names = ('gated',)

    def __init__(
        self,
        on: Mapping[str, str],
        temperature: float = 3.0,
        ramp_epochs: int = 80,
        in_channels: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, ramp_epochs=ramp_epochs, **others)
        check_roles(self, 'trunk', 'logits')
        self.in_channels = in_channels

    def setup(self, spec: CohortSpec) -> None:
        """Build the gate."""
        check_cohort(self, spec)
        channels = self.in_channels or same_channels(
            self, spec.channels('trunk'), 'trunk'
        )
        self.gate = nn.Sequential(
            nn.Linear(channels, spec.num_peers),
            nn.BatchNorm1d(spec.num_peers),
            nn.ReLU(),
            nn.Softmax(1),
        )

    def weights(self, trunk: torch.Tensor) -> torch.Tensor:
        """Return the gate's weights (N, M); rows are positive, sum 1.

        Raises:
            ValueError: a batch of one, for which batch normalisation has
                no statistics.
        """
        if self.training and len(trunk) == 1:
            raise ValueError(
                'GatedEnsembleExchange: the gate normalises over the batch, '
                'which holds a single image; use batch_size of at least 2 '
                '(and drop_last=True)'
            )
        return self.gate(pooled(trunk))

    def auxiliary(self, peers: Peers, batch: Batch) -> dict[str, Tensors]:
        """Return the gated logits."""
        weights = self.weights(peers[0]['trunk'])
        return {'gated': mix(logits_of(self, peers), weights)}

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer per peer, from the gated logits."""
        return [Transfer(i, aux['gated']) for i in range(len(peers))]
