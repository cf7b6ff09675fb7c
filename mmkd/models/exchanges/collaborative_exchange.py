"""Collaborative learning of the heads of one network (CL-ILR)."""

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


@MODELS.register_module()
class CollaborativeExchange(Exchange):
    """Every head learns from the mean of all others (CL-ILR).

    L = sum_i [CE(z_i, y) + w KL_T(mean_{j != i} z_j || z_i)], where KL_T is
    `KLDivLoss`. The other half of the method, intermediate-level
    representation sharing, is the cohort's: ``tree`` or ``shared`` with
    ``scale_gradient=True`` divides the gradient that flows into a shared
    part by the number of its branches.
    Paper: https://arxiv.org/abs/1805.11761.

    Two forms are published. The paper halves both terms,
    L = 0.5 sum_i CE + 0.5 sum_i KL_2, detached, without ramp; up to the
    common factor 0.5 (of the learning rate) these are the defaults here. A
    later comparison uses ``temperature=3.0, ramp_epochs=80,
    detach_target=False``.

    Args:
        on: logits of the peers.
        temperature, others: see `Exchange`.
    """

    def __init__(
        self,
        on: str | Mapping[str, str] = 'logits',
        temperature: float = 2.0,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, **others)

    def setup(self, spec: CohortSpec) -> None:
        """Check the cohort."""
        check_cohort(self, spec)

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer per peer."""
        means = leave_one_out_means(logits_of(self, peers))
        return [Transfer(i, mean) for i, mean in enumerate(means)]
