"""Deep mutual learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort, logits_of
from mmkd.models.exchanges.mixing import leave_one_out_means
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
)
from mmkd.registry import MODELS

_TARGETS = ('pairwise', 'leave_one_out_mean')
_REDUCTIONS = ('mean', 'sum')


@MODELS.register_module()
class MutualExchange(Exchange):
    """Every peer learns from every other one (DML).

    L_i = CE(z_i, y) + 1/(M-1) sum_{j != i} KL_T(z_j || z_i), where KL_T is
    `KLDivLoss`, z_j the target. All peers step at once, on the same batch.
    Paper: https://arxiv.org/abs/1706.00384 (T = 1). Comparisons in other
    papers use T = 2 (detached) or T = 3 without ``detach_target``, with
    ``target='leave_one_out_mean'``.

    Args:
        on: logits of the peers.
        target: ``'pairwise'``, or ``'leave_one_out_mean'``:
            KL_T(mean_{j != i} z_j || z_i). Equal for two peers.
        reduction: ``'mean'`` over the M-1 pairwise terms, or ``'sum'`` as
            in the authors' code.
        temperature, others: see `Exchange`.
    """

    def __init__(
        self,
        on: str | Mapping[str, str] = 'logits',
        target: str = 'pairwise',
        reduction: str = 'mean',
        temperature: float = 1.0,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, **others)
        if target not in _TARGETS or reduction not in _REDUCTIONS:
            raise ValueError(
                f'MutualExchange: target={target!r}, reduction={reduction!r}; '
                f'choose target from {_TARGETS} and reduction from '
                f'{_REDUCTIONS}'
            )
        if reduction == 'sum' and target != 'pairwise':
            raise ValueError(
                "MutualExchange: reduction='sum' is about pairwise terms, but "
                f'target={target!r} gives one per peer; drop reduction'
            )
        self.target = target
        self.reduction = reduction

    def setup(self, spec: CohortSpec) -> None:
        """Check the cohort."""
        check_cohort(self, spec)

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return M (M-1) transfers, or M."""
        logits = logits_of(self, peers)
        if self.target == 'leave_one_out_mean':
            means = leave_one_out_means(logits)
            return [Transfer(i, mean) for i, mean in enumerate(means)]
        share = 1 / (len(peers) - 1) if self.reduction == 'mean' else 1.0
        return [
            Transfer(i, target, share)
            for i in range(len(peers))
            for j, target in enumerate(logits)
            if j != i
        ]
