"""Samples of the data set that a batch is contrasted with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.transfer import Batch, CohortSpec
from mmkd.models.memory.contrast_indices import ContrastIndices

# Comparing labels makes the host wait for a GPU: the first batches suffice.
CHECKED_BATCHES = 10


class DrawsSamples(Exchange):
    """An exchange whose ``loss`` has a bank of all training samples per peer.

    `DatasetLabelsHook` tells it the classes. A subclass sets the attributes.

    Attributes:
        loss: has ``num_peers`` and ``num_samples``, maybe.
        num_positives: P.
        num_negatives: K.
    """

    loss: Any
    num_positives: int
    num_negatives: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.contrast_indices: ContrastIndices | None = None
        self._checks_left = 0

    def check_banks(self, spec: CohortSpec) -> None:
        """Check that there is a bank for every peer.

        Raises:
            ValueError: another number of banks.
        """
        banks = getattr(self.loss, 'num_peers', spec.num_peers)
        if banks != spec.num_peers:
            raise ValueError(
                f'{type(self).__name__}: loss.num_peers={banks}, '
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
                f'{type(self).__name__}: loss.num_samples='
                f'{expected}, but the training set has {len(labels)} '
                f'samples; set num_samples={len(labels)} in the loss'
            )
        self.contrast_indices = ContrastIndices(
            labels, self.num_positives, self.num_negatives
        ).to(device)
        self._checks_left = CHECKED_BATCHES

    def draw(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positives (B, 1 + P), itself first, and negatives (B, K).

        Raises:
            ValueError: the classes of the data set are not known, or are
                not those of the batch.
        """
        if self.contrast_indices is None:
            raise ValueError(
                f'{type(self).__name__} does not know the classes '
                'of the training samples; add '
                "custom_hooks=[dict(type='mmkd.DatasetLabelsHook')]"
            )
        index = batch['sample_idx']
        found = self.contrast_indices(index)
        if self._checks_left > 0:
            self._checks_left -= 1
            self.contrast_indices.compare(
                type(self).__name__, index, batch['labels']
            )
        return found
