"""Contrastive representation distillation with memory banks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch import nn
from torch.nn import functional

from mmkd.models.losses.bank_nce import bank_nce
from mmkd.models.losses.contrast_checks import check_contrast_shapes
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.models.memory.contrast_indices import ContrastIndices, draw_others
from mmkd.models.memory.sample_banks import random_banks, update_banks
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first, gather_rows
from mmkd.utils.indices import FirstGpuBatches, check_index
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class CRDLoss(nn.Module):
    """Contrast each side's embeddings with the other side's memory.

    h = normalize(linear(feature)), both sides trained. For a sample with
    the columns I = [itself, K samples of other classes] of a bank B,

    P = exp(B[I] . h / tau) / Z, Z = n mean(exp(B[I] . h / tau)) of the
    first batch, fixed from then on, q = K / n,
    l(P) = -mean_n [log(P_0 / (P_0 + q)) + sum_k log(q / (P_k + q))],
    loss = l(P of the student against the teacher's bank)
         + l(P of the teacher against the student's bank),

    with 1e-7 added to both denominators. In training, each call then writes
    the embeddings of all processes into the banks:
    B[i] <- normalize(momentum B[i] + (1 - momentum) h_i).
    Unweighted; the published weight is 0.8. Paper:
    https://arxiv.org/abs/1910.10699.

    `DatasetLabelsHook` in ``custom_hooks`` tells which samples are of other
    classes; the pipeline must pack ``sample_idx``. Buffers: ``memory_student``
    and ``memory_teacher`` (n, d) and the scalars ``z_student`` and
    ``z_teacher`` (of the student's and the teacher's scores, 0 before the
    first batch), those of rank 0 in every process. The gradient cannot be
    differentiated again.

    Args:
        student_dim: width of the student's feature.
        teacher_dim: width of the teacher's feature.
        num_samples: n, length of the training set.
        feat_dim: d.
        num_negatives: K.
        temperature: tau, > 0.
        momentum: share of the old row in an update, 0 to 1.
        replacement: draw negatives with replacement (published for ImageNet
            alone).
        positive: ``'exact'``, the sample itself is its own positive, or
            ``'relax'``, any sample of its class.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C), or maps (N, C, h, w), which are averaged.
            Half precision is computed in float32. The teacher is detached.
        sample_idx: (N,) integers, index of every sample in the data set.
        contrast_idx: (N, 1 + K), column 0 the positive; None draws it.
        returns: scalar.
    """

    memory_student: torch.Tensor
    memory_teacher: torch.Tensor
    z_student: torch.Tensor
    z_teacher: torch.Tensor

    def __init__(
        self,
        student_dim: int,
        teacher_dim: int,
        num_samples: int,
        feat_dim: int = 128,
        num_negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
        replacement: bool = False,
        positive: str = 'exact',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self._check_settings(temperature, momentum, positive)
        self.num_samples = num_samples
        self.num_negatives = num_negatives
        self.temperature = temperature
        self.momentum = momentum
        self.replacement = replacement
        self.positive = positive
        self.loss_weight = loss_weight
        self.embed_s = nn.Linear(student_dim, feat_dim)
        self.embed_t = nn.Linear(teacher_dim, feat_dim)
        banks = random_banks(2, num_samples, feat_dim)
        for bank, side in zip(banks, ('student', 'teacher'), strict=True):
            self.register_buffer(f'memory_{side}', bank.clone())
            self.register_buffer(f'z_{side}', torch.zeros(()))
        self.contrast_indices: ContrastIndices | None = None
        self._banks_shared = False
        self._warned = False
        self._may_look = FirstGpuBatches()

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
                f'CRDLoss: num_samples={self.num_samples}, but the training '
                f'set has {len(labels)} samples; set num_samples='
                f'{len(labels)} in the loss'
            )
        self.contrast_indices = ContrastIndices(
            labels,
            num_negatives=self.num_negatives,
            replacement=self.replacement,
        ).to(device)

    def forward(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        sample_idx: torch.Tensor,
        contrast_idx: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the weighted loss, then (in training) update the banks.

        Raises:
            ValueError: features or indices that do not fit the settings.
        """
        with no_autocast(student):
            embed_s = self._embed('student', self.embed_s, student)
            embed_t = self._embed('teacher', self.embed_t, teacher.detach())
            self._check_indices(sample_idx, len(embed_s), contrast_idx)
            if contrast_idx is None:
                contrast_idx = self._draw(sample_idx)
            if self.training and not self._banks_shared:
                broadcast_from_first(
                    [self.memory_student, self.memory_teacher]
                )
            loss = self._side(
                embed_s, self.memory_teacher, self.z_student, contrast_idx
            ) + self._side(
                embed_t, self.memory_student, self.z_teacher, contrast_idx
            )
            if self.training:
                self._banks_shared = True
                self._remember(sample_idx, embed_s, embed_t)
        return self.loss_weight * loss

    def _side(
        self,
        embed: torch.Tensor,
        bank: torch.Tensor,
        constant: torch.Tensor,
        index: torch.Tensor,
    ) -> torch.Tensor:
        """Return l; set the constant if this is its first batch."""

        def settle(mean: torch.Tensor) -> torch.Tensor:
            z = torch.where(constant > 0, constant, self.num_samples * mean)
            if not self.training:
                return z
            constant.copy_(z)
            if not self._banks_shared:
                broadcast_from_first([constant])
            return constant.clone()

        return bank_nce(embed, bank, index, self.temperature, settle)

    def _embed(
        self, side: str, linear: nn.Linear, feats: torch.Tensor
    ) -> torch.Tensor:
        if feats.ndim == 4:
            feats = feats.mean((2, 3))
        if feats.ndim != 2 or feats.shape[1] != linear.in_features:
            raise ValueError(
                f'CRDLoss: {side}_dim={linear.in_features}, but the {side} '
                f'features are {tuple(feats.shape)}; set {side}_dim='
                f'{feats.shape[1] if feats.ndim > 1 else "the width"}, or '
                'tap pooled features'
            )
        return functional.normalize(linear(at_least_float32(feats)), dim=1)

    def _draw(self, sample_idx: torch.Tensor) -> torch.Tensor:
        """Return the positive and K negatives of every sample."""
        if self.contrast_indices is not None:
            positives, negatives = self.contrast_indices(sample_idx)
            column = 0 if self.positive == 'exact' else 1
            return torch.cat([positives[:, column, None], negatives], 1)
        if self.training and not self._warned:
            self._warned = True
            print_log(
                'CRDLoss does not know the classes of the training samples '
                'and contrasts with all others; add custom_hooks=[dict('
                "type='mmkd.DatasetLabelsHook')]",
                logger='current',
                level=logging.WARNING,
            )
        others = draw_others(sample_idx, self.num_samples, self.num_negatives)
        return torch.cat([sample_idx[:, None], others], 1)

    @torch.no_grad()
    def _remember(self, index: torch.Tensor, *embeds: torch.Tensor) -> None:
        index = gather_rows(index)
        banks = self.memory_student, self.memory_teacher
        for bank, embed in zip(banks, embeds, strict=True):
            values = gather_rows(embed.detach())
            update_banks(bank[None], index, values[None], self.momentum)

    def _check_indices(
        self,
        sample_idx: torch.Tensor,
        batch_size: int,
        contrast_idx: torch.Tensor | None,
    ) -> None:
        check_contrast_shapes('CRDLoss', batch_size, sample_idx, contrast_idx)
        if not self._may_look(sample_idx):
            return
        check_index('CRDLoss', 'sample_idx', sample_idx, self.num_samples)
        if contrast_idx is not None:
            check_index(
                'CRDLoss', 'contrast_idx', contrast_idx, self.num_samples
            )

    @staticmethod
    def _check_settings(
        temperature: float, momentum: float, positive: str
    ) -> None:
        check_positive('CRDLoss', 0.07, temperature=temperature)
        if not 0 <= momentum <= 1:
            raise ValueError(
                f'CRDLoss: momentum={momentum} must lie between 0 and 1; set '
                'e.g. momentum=0.5'
            )
        if positive not in ('exact', 'relax'):
            raise ValueError(
                f"CRDLoss: positive={positive!r} is not known; set 'exact' "
                "or 'relax'"
            )
