"""A queue of the teacher's embeddings as classes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.dense_cosine_loss import check_channels, pooled
from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.models.memory.class_queue import random_queue
from mmkd.models.memory.key_queue import enqueue_keys
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first, gather_rows
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class PseudoClassLoss(FeaturePairLoss):
    """Tell remembered images apart as the teacher does.

    With unit vectors z_t = v_t / |v_t| of the teacher, z_s = r(v_s) /
    |r(v_s)| of the student (r linear, trained with it), and columns Q =
    [z_t, queue] per image, loss = mean over N of the cross entropy from
    p = softmax(Q^T z_t / tau_t) to softmax(Q^T z_s / tau_s). In training,
    each call writes the teacher's vectors of all processes into the queue
    after scoring. SEED, https://arxiv.org/abs/2101.04731, its equation 4.

    Buffers: ``queue`` (1, C_t, L) of unit columns, ``queue_ptr`` (1,); those
    of rank 0 in every process.

    Args:
        student_channels: C_s.
        teacher_channels: C_t.
        queue_size: L, at least the batch of all processes.
        temperature: tau_s.
        teacher_temperature: tau_t.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s) and (N, C_t); maps are averaged over
            positions.
        returns: scalar.

    Raises:
        ValueError: a number is not positive.
    """

    queue: torch.Tensor
    queue_ptr: torch.Tensor

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        queue_size: int = 65536,
        temperature: float = 0.2,
        teacher_temperature: float = 0.01,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        owner = type(self).__name__
        check_positive(owner, 65536, queue_size=queue_size)
        check_positive(owner, 0.2, temperature=temperature)
        check_positive(owner, 0.01, teacher_temperature=teacher_temperature)
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature
        self.projection = nn.Linear(student_channels, teacher_channels)
        queue = random_queue(1, queue_size, teacher_channels).transpose(1, 2)
        self.register_buffer('queue', queue.contiguous())
        self.register_buffer('queue_ptr', torch.zeros(1, dtype=torch.long))
        self._shared = False

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss, then (in training) remember the teacher's."""
        student, teacher = pooled(student), pooled(teacher)
        owner, projection = type(self).__name__, self.projection
        expected = (projection.in_features, projection.out_features)
        check_channels(owner, expected, student, teacher)
        if self.training and not self._shared:
            broadcast_from_first([self.queue, self.queue_ptr])
            self._shared = True
        wanted = functional.normalize(teacher, dim=1)
        found = functional.normalize(projection(student), dim=1)
        # a copy: the queue changes before the backward pass
        queue = self.queue[0].to(wanted.dtype, copy=True)
        target = self._logits(wanted, wanted, queue) / self.teacher_temperature
        logits = self._logits(found, wanted, queue) / self.temperature
        loss = functional.cross_entropy(logits, target.softmax(1))
        if self.training:
            self._remember(wanted)
        return loss

    @staticmethod
    def _logits(
        rows: torch.Tensor, own: torch.Tensor, queue: torch.Tensor
    ) -> torch.Tensor:
        """Return similarities (N, 1 + L) to the own and queued vectors."""
        return torch.cat([(rows * own).sum(1, keepdim=True), rows @ queue], 1)

    def _remember(self, vectors: torch.Tensor) -> None:
        vectors = gather_rows(vectors)
        size = self.queue.shape[2]
        if len(vectors) > size:
            raise ValueError(
                f'{type(self).__name__}: queue_size={size} is smaller than '
                f'the batch of all processes, {len(vectors)}: enlarge '
                'queue_size (several batches at least)'
            )
        enqueue_keys(self.queue, self.queue_ptr, vectors[None])
