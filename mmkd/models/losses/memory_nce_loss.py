"""Noise-contrastive loss between peers and each other's memory banks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from mmengine.logging import print_log
from torch import nn

from mmkd.models.losses.bank_nce import bank_nce
from mmkd.models.losses.contrast_checks import check_contrast_shapes
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.models.memory.contrast_indices import ContrastIndices, draw_others
from mmkd.models.memory.sample_banks import random_banks, update_banks
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first, gather_rows, mean_of_ranks
from mmkd.utils.indices import FirstGpuBatches, check_index
from mmkd.utils.settings import check_positive

# Comparing labels makes the host wait for a GPU: the first batches suffice.
CHECKED_BATCHES = 10


@MODELS.register_module()
class MemoryNCELoss(nn.Module):
    """Contrast every peer's embeddings with the banks of all others.

    For a sample with the columns I = [itself, K samples of other classes],
    peers i (whose bank B_i is read) and j (whose embedding e_j learns),

    p_ij = exp(B_i[I] . e_j / tau) / Z_ij, Z_ij = n mean(exp(...)) of this
    batch, a constant; q = K / n,
    l_ij = -mean_N [log(p_0 / (p_0 + q + eps)) + sum_k log(q / (p_k + q +
    eps))],  loss = sum over the M (M - 1) ordered pairs i != j.

    In training, each call then writes the embeddings of all processes into
    the banks: B_i[s] <- normalize(momentum B_i[s] + (1 - momentum) e_i); of
    samples that occur twice the last counts, in the order of ranks. Banks
    and Z are detached, and Z stays on the device. Unweighted; the published
    weight is 0.025. Paper: https://arxiv.org/abs/2006.04093.

    `DatasetLabelsHook` in ``custom_hooks`` tells which samples are of other
    classes; the pipeline must pack ``sample_idx``. Buffers: ``bank_0``, ...
    (n, D), those of rank 0 in every process. The gradient cannot be
    differentiated again.

    Args:
        num_peers: M.
        num_samples: n, length of the training set.
        embedding_dim: D.
        num_negatives: K (published: 256, of larger networks 16384).
        temperature: tau (published: 0.1, on ImageNet 0.07).
        momentum: share of the old row in an update, 0 to 1.
        epsilon: eps.
        replacement: draw negatives with replacement (published for ImageNet
            alone). It is done anyway where some class has too few others.
        sync_normalizer: average Z over processes, which then equal one;
            published is a single process.
        update_banks: write embeddings into the banks in training.
        save_banks: keep the banks in the ``state_dict``; without them a
            resumed run starts from random banks.
        loss_weight: factor on the returned value.

    Shape:
        embeddings: list of M unit-norm tensors (N, D), or (M, N, D). Half
            precision is computed in float32.
        sample_idx: (N,) integers, index of every sample in the data set.
        contrast_idx: (N, 1 + K), column 0 the sample; None draws it on the
            device of the embeddings.
        labels: (N,), compared with those of the data set in the first
            batches; None does not look.
        returns: scalar.
    """

    def __init__(
        self,
        num_peers: int,
        num_samples: int,
        embedding_dim: int = 128,
        num_negatives: int = 256,
        temperature: float = 0.1,
        momentum: float = 0.5,
        epsilon: float = 1e-7,
        replacement: bool = False,
        sync_normalizer: bool = False,
        update_banks: bool = True,
        save_banks: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        owner = 'MemoryNCELoss'
        check_positive(owner, 0.1, temperature=temperature)
        check_positive(owner, 256, num_negatives=num_negatives)
        check_positive(owner, 128, embedding_dim=embedding_dim)
        if num_peers < 2:
            raise ValueError(
                f'{owner}: num_peers={num_peers} leaves no other peer to '
                'contrast with; set num_peers to 2 or more'
            )
        if num_samples < 2:
            raise ValueError(
                f'{owner}: num_samples={num_samples} leaves no negatives; '
                'set num_samples to the length of the training set'
            )
        if not 0 <= momentum <= 1:
            raise ValueError(
                f'{owner}: momentum={momentum} must lie between 0 and 1; set '
                'e.g. momentum=0.5'
            )
        self.num_peers = num_peers
        self.num_samples = num_samples
        self.embedding_dim = embedding_dim
        self.num_negatives = num_negatives
        self.temperature = temperature
        self.momentum = momentum
        self.epsilon = epsilon
        self.replacement = replacement
        self.sync_normalizer = sync_normalizer
        self.update_banks = update_banks
        self.loss_weight = loss_weight
        for peer in range(num_peers):
            (bank,) = random_banks(1, num_samples, embedding_dim)
            self.register_buffer(f'bank_{peer}', bank, persistent=save_banks)
        self.contrast_indices: ContrastIndices | None = None
        self._banks_shared = False
        self._warned = False
        self._checks_left = CHECKED_BATCHES
        self._may_look = FirstGpuBatches()

    @property
    def banks(self) -> list[torch.Tensor]:
        """The bank of every peer, (n, D)."""
        return [getattr(self, f'bank_{k}') for k in range(self.num_peers)]

    def set_dataset_labels(
        self, labels: torch.Tensor | Sequence[int], device: torch.device
    ) -> None:
        """Say the class of every training sample, by its ``sample_idx``.

        Args:
            labels: (n,) integers.
            device: where indices are drawn.

        Raises:
            ValueError: n is not the number of rows of the banks.
        """
        if len(labels) != self.num_samples:
            raise ValueError(
                f'MemoryNCELoss: num_samples={self.num_samples}, but the '
                f'training set has {len(labels)} samples; set num_samples='
                f'{len(labels)} in the loss'
            )
        labels = torch.as_tensor(labels)
        most = int(labels.unique(return_counts=True)[1].max())
        scarce = self.num_samples - most < self.num_negatives
        self.contrast_indices = ContrastIndices(
            labels,
            num_negatives=self.num_negatives,
            replacement=self.replacement or scarce,
        ).to(device)
        self._checks_left = CHECKED_BATCHES

    def forward(
        self,
        embeddings: Sequence[torch.Tensor] | torch.Tensor,
        sample_idx: torch.Tensor,
        contrast_idx: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the weighted loss, then (in training) update the banks.

        Raises:
            ValueError: embeddings or indices that do not fit the settings,
                or labels that are not those of the data set.
        """
        anchors = self._stack(embeddings)
        self._check_indices(sample_idx, anchors.shape[1], contrast_idx)
        with no_autocast(anchors):
            if contrast_idx is None:
                contrast_idx = self._draw(sample_idx, labels)
            if self.training and not self._banks_shared:
                broadcast_from_first(self.banks)
                self._banks_shared = True
            others = [
                torch.cat([anchors[:peer], anchors[peer + 1 :]])
                for peer in range(self.num_peers)
            ]
            terms = [
                bank_nce(
                    embeds,
                    bank,
                    contrast_idx,
                    self.temperature,
                    self._settle,
                    self.epsilon,
                )
                for embeds, bank in zip(others, self.banks, strict=True)
            ]
            if self.training and self.update_banks:
                self.update(anchors, sample_idx)
        return self.loss_weight * torch.stack(terms).sum()

    @torch.no_grad()
    def update(
        self,
        embeddings: Sequence[torch.Tensor] | torch.Tensor,
        sample_idx: torch.Tensor,
    ) -> None:
        """Write the embeddings of all processes into the banks."""
        anchors = self._stack(embeddings).detach()
        index = gather_rows(sample_idx)
        values = gather_rows(anchors.transpose(0, 1)).transpose(0, 1)
        for bank, value in zip(self.banks, values, strict=True):
            update_banks(bank[None], index, value[None], self.momentum)

    @property
    def _settle(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What makes Z of the mean scores (M - 1,) against a bank."""
        shared = self.sync_normalizer and self.training
        return lambda mean: (
            self.num_samples * (mean_of_ranks(mean) if shared else mean)
        )

    def _draw(
        self, sample_idx: torch.Tensor, labels: torch.Tensor | None
    ) -> torch.Tensor:
        """Return each sample and its K negatives, (N, 1 + K)."""
        if self.contrast_indices is not None:
            if labels is not None and self._checks_left > 0:
                self._checks_left -= 1
                self.contrast_indices.compare(
                    'MemoryNCELoss', sample_idx, labels
                )
            own, negatives = self.contrast_indices(sample_idx)
            return torch.cat([own[:, :1], negatives], 1)
        if self.training and not self._warned:
            self._warned = True
            print_log(
                'MemoryNCELoss does not know the classes of the training '
                'samples and contrasts with all others; add custom_hooks=['
                "dict(type='mmkd.DatasetLabelsHook')]",
                logger='current',
                level=logging.WARNING,
            )
        others = draw_others(sample_idx, self.num_samples, self.num_negatives)
        return torch.cat([sample_idx[:, None], others], 1)

    def _stack(
        self, embeddings: Sequence[torch.Tensor] | torch.Tensor
    ) -> torch.Tensor:
        """Return embeddings (M, N, D), at least float32."""
        shapes = [tuple(e.shape) for e in embeddings]
        if len(set(shapes)) > 1 or any(len(shape) != 2 for shape in shapes):
            raise ValueError(
                'MemoryNCELoss: the embeddings must have one shape (N, D) '
                f'for all peers, got {shapes}; give the peers the same '
                'batch, and their embedding heads the same embedding_dim'
            )
        found = dict(
            num_peers=len(shapes),
            embedding_dim=shapes[0][1] if shapes else 0,
        )
        for key, value in found.items():
            if value != getattr(self, key):
                raise ValueError(
                    f'MemoryNCELoss: {key}={getattr(self, key)}, but the '
                    f'embeddings are {shapes}; set {key}={value}'
                )
        if isinstance(embeddings, torch.Tensor):
            return at_least_float32(embeddings)
        return torch.stack([at_least_float32(e) for e in embeddings])

    def _check_indices(
        self,
        sample_idx: torch.Tensor,
        batch_size: int,
        contrast_idx: torch.Tensor | None,
    ) -> None:
        owner = 'MemoryNCELoss'
        check_contrast_shapes(
            owner, batch_size, sample_idx, contrast_idx, self.num_negatives
        )
        if not self._may_look(sample_idx):
            return
        check_index(owner, 'sample_idx', sample_idx, self.num_samples)
        if contrast_idx is None:
            return
        check_index(owner, 'contrast_idx', contrast_idx, self.num_samples)
        if not torch.equal(contrast_idx[:, 0].long(), sample_idx.long()):
            raise ValueError(
                f'{owner}: column 0 of contrast_idx must be sample_idx, the '
                'samples themselves; leave contrast_idx out to draw it'
            )
