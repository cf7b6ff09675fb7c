"""Learning from the mean of all peers' logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort, logits_of
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    mean_of,
)
from mmkd.registry import MODELS


@MODELS.register_module()
class LogitEnsembleExchange(Exchange):
    """Peers learn from the mean of all logits, their own included.

    L = sum_{i in targets} KL_T(mean_j z_j || z_i): `LogitEnsembleKDLoss` as
    transfers, so that it also takes lists of maps and another
    ``transfer_loss``. The logit distillation of MCL (all peers of two; the
    last one of a larger cohort): https://arxiv.org/abs/2104.12565.

    Args:
        on: logits of the peers.
        targets: ``'all'`` peers learn, or the ``'last'`` one alone.
        temperature, others: see `Exchange`. ``detach_target=False`` sends
            gradient to the peers through the mean.
    """

    def __init__(
        self,
        on: str | Mapping[str, str] = 'logits',
        targets: str = 'all',
        temperature: float = 3.0,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, **others)
        if targets not in ('all', 'last'):
            raise ValueError(
                f'LogitEnsembleExchange: targets={targets!r}; choose "all" '
                'or "last"'
            )
        self.targets = targets

    def setup(self, spec: CohortSpec) -> None:
        """Check the cohort."""
        check_cohort(self, spec)

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return a transfer per learner."""
        mean = mean_of(logits_of(self, peers))
        learners = range(len(peers))
        return [
            Transfer(i, mean)
            for i in (learners if self.targets == 'all' else learners[-1:])
        ]
