"""Mutual contrastive learning against banks of all training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort
from mmkd.models.exchanges.transfer import Batch, CohortSpec, Peers, Tensors
from mmkd.models.memory.contrast_indices import ContrastIndices
from mmkd.registry import MODELS

# Comparing labels makes the host wait for a GPU: the first batches suffice.
CHECKED_BATCHES = 10


@MODELS.register_module()
class MemoryMutualContrastiveExchange(Exchange):
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
        self.contrast_indices: ContrastIndices | None = None
        self._checks_left = 0

    def setup(self, spec: CohortSpec) -> None:
        """Check that there is a bank for every peer.

        Raises:
            ValueError: another number of banks.
        """
        check_cohort(self, spec)
        banks = getattr(self.loss, 'num_peers', spec.num_peers)
        if banks != spec.num_peers:
            raise ValueError(
                f'MemoryMutualContrastiveExchange: loss.num_peers={banks}, '
                f'but the cohort has {spec.num_peers} peers; set '
                f'num_peers={spec.num_peers} in the loss'
            )

    @property
    def ready(self) -> bool:
        """Whether the classes of the data set are known."""
        return self.contrast_indices is not None

    def set_dataset_labels(
        self, labels: torch.Tensor | Sequence[int], device: torch.device
    ) -> None:
        """Say the class of every training sample, by its ``sample_idx``.

        Args:
            labels: (n,) integers.
            device: where indices are drawn.

        Raises:
            ValueError: n is not the number of samples of the banks.
        """
        expected = getattr(self.loss, 'num_samples', len(labels))
        if len(labels) != expected:
            raise ValueError(
                f'MemoryMutualContrastiveExchange: loss.num_samples='
                f'{expected}, but the training set has {len(labels)} '
                f'samples; set num_samples={len(labels)} in the loss'
            )
        self.contrast_indices = ContrastIndices(
            labels, self.num_positives, self.num_negatives
        ).to(device)
        self._checks_left = CHECKED_BATCHES

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Draw indices and return the terms of the loss.

        Raises:
            ValueError: the classes of the data set are not known, or are
                not those of the batch.
        """
        if self.contrast_indices is None:
            raise ValueError(
                'MemoryMutualContrastiveExchange does not know the classes '
                'of the training samples; add '
                "custom_hooks=[dict(type='mmkd.DatasetLabelsHook')]"
            )
        index = batch['sample_idx']
        positives, negatives = self.contrast_indices(index)
        if self._checks_left > 0:
            self._checks_left -= 1
            self.contrast_indices.compare(
                'MemoryMutualContrastiveExchange', index, batch['labels']
            )
        embeddings = [peer[self.main_role] for peer in peers]
        return self.loss(embeddings, positives, negatives)
