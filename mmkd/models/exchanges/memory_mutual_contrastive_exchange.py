"""Mutual contrastive learning against banks of all training samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.exchanges.checks import check_cohort
from mmkd.models.exchanges.sample_draws import DrawsSamples
from mmkd.models.exchanges.transfer import Batch, CohortSpec, Peers, Tensors
from mmkd.registry import MODELS


@MODELS.register_module()
class MemoryMutualContrastiveExchange(DrawsSamples):
    """Contrast every peer's embeddings with all peers' banks (MCL, ImageNet).

    For every sample, ``num_positives`` images of its class and
    ``num_negatives`` of other classes are drawn from the data set
    (`ContrastIndices`); ``loss`` compares the embeddings with the entries of
    the banks at these indices. Which image has which class is told by
    `DatasetLabelsHook`, so put it into ``custom_hooks``; the pipeline must
    pack ``sample_idx``. Paper: https://arxiv.org/abs/2104.12565.

    Args:
        on: embeddings, usually the auxiliary head `ContrastiveEmbedding`.
        loss: `MemoryMutualContrastiveLoss` with its settings, or a relative:
            ``forward(list of embeddings, pos_idx, neg_idx)`` gives a dict.
        num_positives: P.
        num_negatives: K.
        loss_weight: factor on all terms.
    """

    main_role = 'embeds'

    def __init__(
        self,
        on: str | Mapping[str, str],
        loss: nn.Module | Mapping[str, Any],
        num_positives: int = 1,
        num_negatives: int = 8192,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(on, loss_weight=loss_weight, init_cfg=init_cfg)
        self.loss = (
            loss
            if isinstance(loss, nn.Module)
            else ROOT_MODELS.build(dict(loss))
        )
        self.num_positives = num_positives
        self.num_negatives = num_negatives

    def setup(self, spec: CohortSpec) -> None:
        """Check that there is a bank for every peer.

        Raises:
            ValueError: another number of banks.
        """
        check_cohort(self, spec)
        self.check_banks(spec)

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Draw indices and return the terms of the loss.

        Raises:
            ValueError: the classes of the data set are not known, or are
                not those of the batch.
        """
        positives, negatives = self.draw(batch)
        embeddings = [peer[self.main_role] for peer in peers]
        return self.loss(embeddings, positives, negatives)
