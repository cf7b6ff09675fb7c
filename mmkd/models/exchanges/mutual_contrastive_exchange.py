"""Mutual contrastive learning within the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmkd.models.exchanges.checks import check_cohort
from mmkd.models.exchanges.loss_exchange import LossExchange
from mmkd.models.exchanges.transfer import CohortSpec
from mmkd.registry import MODELS


@MODELS.register_module()
class MutualContrastiveExchange(LossExchange):
    """Contrast the embeddings of the peers with each other (MCL, CIFAR).

    L = sum_i CE(z_i, y) + the terms of ``loss``, which reads the list of
    the peers' embeddings (N, D) and the labels of the batch.
    Paper: https://arxiv.org/abs/2104.12565.

    Args:
        on: embeddings, usually the auxiliary head `ContrastiveEmbedding`.
        loss: `MutualContrastiveLoss` with its settings, or a relative.
        loss_weight: factor on all terms.
    """

    main_role = 'embeds'

    def __init__(
        self,
        on: str | Mapping[str, str],
        loss: nn.Module | Mapping[str, Any],
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(on, loss, 'contrast', loss_weight, init_cfg)

    def setup(self, spec: CohortSpec) -> None:
        """Check that the cohort has several peers."""
        check_cohort(self, spec)
