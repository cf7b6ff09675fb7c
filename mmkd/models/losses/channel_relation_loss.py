"""Relations between the channels of student and teacher (CIRKDv2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.heads.projection_head import ProjectionHead
from mmkd.models.losses.fused_bank_kl import bank_relation_kl
from mmkd.models.losses.fused_pair_kl import pair_relation_kl
from mmkd.models.losses.groups import groups_of
from mmkd.models.losses.precision import no_autocast
from mmkd.models.memory import enqueue, random_queue
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first, gather_rows, get_world_size
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_channels, check_feature_maps


@MODELS.register_module()
class ChannelRelationLoss(nn.Module):
    """Imitate how alike the teacher's channels are, and the channels.

    Both maps are average-pooled (ceil mode) to P positions; the student's
    pass a projection C_s -> C_t, part of this module. A channel of an image
    is a row of P numbers of norm 1, s and t. Three terms:

    - ``loss_channel_minibatch``: as `MiniBatchPixelRelationLoss` with
      channels in place of pixels,
    - ``loss_channel_memory``: T_c^2 * mean over rows of KL(softmax(Q t / (tau
      T_c)) || softmax(Q s / (tau T_c))), Q rows of a queue of earlier
      teachers' channels, drawn at random,
    - ``loss_channel_mse``: mean of (s - t)^2.

    In training, each call first writes random rows of the teacher's
    channels (of all processes, the same everywhere) into the queue: at its
    end, into the last slots, and on from the first. In evaluation nothing is
    written. The teacher is detached. Code of CIRKDv2 (technical report,
    2025), https://arxiv.org/abs/2204.06986.

    Buffers: ``channel_queue`` (queue_size, P), ``channel_ptr`` (1,).

    Args:
        student_channels: C_s.
        teacher_channels: C_t.
        teacher_size: h, or (h, w), of the maps; the queue holds rows of
            P = ceil(h / pool) ceil(w / pool) numbers.
        pool: window and stride of the pooling.
        queue_size: rows in the queue.
        contrast_size: rows to compare with.
        rows_per_step: rows to remember in a step.
        temperature: tau.
        kd_temperature: T_c.
        group_size: images per group of the mini-batch term; None is all.
        minibatch_loss_weight: factor on the first term.
        memory_loss_weight: factor on the second.
        mse_loss_weight: factor on the third.
        norm_cfg: normalisation in the projection; None is plain batch
            normalisation, ``dict(type='SyncBN')`` the published one.
        checkpoint_queues: keep the queue in the ``state_dict``.

    Shape:
        student_feats, teacher_feats: (N, C_s, h, w) and (N, C_t, h, w).
        returns: dict of three scalars.

    Raises:
        ValueError: maps of other size or channels, or bad settings.
    """

    channel_queue: torch.Tensor
    channel_ptr: torch.Tensor

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        teacher_size: int | tuple[int, int],
        pool: int = 4,
        queue_size: int = 10000,
        contrast_size: int = 2048,
        rows_per_step: int = 256,
        temperature: float = 0.1,
        kd_temperature: float = 1.0,
        group_size: int | None = None,
        minibatch_loss_weight: float = 1.0,
        memory_loss_weight: float = 0.1,
        mse_loss_weight: float = 100.0,
        norm_cfg: dict[str, Any] | None = None,
        checkpoint_queues: bool = True,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_positive(
            owner, 0.1, temperature=temperature, kd_temperature=kd_temperature
        )
        check_positive(owner, 4, pool=pool, contrast_size=contrast_size)
        for key, value in dict(
            contrast_size=contrast_size, rows_per_step=rows_per_step
        ).items():
            if value > queue_size:
                raise ValueError(
                    f'{owner}: {key}={value}, but queue_size={queue_size}; '
                    f'enlarge queue_size or reduce {key}'
                )
        size = teacher_size
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.pool = pool
        self.contrast_size = contrast_size
        self.rows_per_step = rows_per_step
        self.temperature = temperature
        self.kd_temperature = kd_temperature
        self.group_size = group_size
        self.minibatch_loss_weight = minibatch_loss_weight
        self.memory_loss_weight = memory_loss_weight
        self.mse_loss_weight = mse_loss_weight
        height, width = (-(-side // pool) for side in self.size)
        queue = random_queue(1, queue_size, height * width)[0]
        self.register_buffer('channel_queue', queue, checkpoint_queues)
        pointer = torch.zeros(1, dtype=torch.long)
        self.register_buffer('channel_ptr', pointer, checkpoint_queues)
        self._shared = False
        self.projection = ProjectionHead(
            student_channels, teacher_channels, norm_cfg=norm_cfg
        )

    def forward(
        self,
        student_feats: torch.Tensor,
        teacher_feats: torch.Tensor,
        enqueue_rows: torch.Tensor | None = None,
        contrast_index: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Update the queue (in training) and compute the weighted losses.

        Args:
            student_feats: see the class.
            teacher_feats: see the class.
            enqueue_rows: which of the N C_t rows (of all processes) to
                remember, instead of random ones.
            contrast_index: slots to compare with, instead of random ones.
        """
        self._check(student_feats, teacher_feats)
        with no_autocast(student_feats):
            dtype = self.channel_queue.dtype
            pooled = self._pool(student_feats.to(dtype))
            student = _rows(self.projection(pooled))
            teacher = _rows(self._pool(teacher_feats.detach().to(dtype)))
            if self.training:
                self.remember(teacher.flatten(0, 1), enqueue_rows)
            return self._losses(student, teacher, contrast_index)

    def _losses(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        index: torch.Tensor | None,
    ) -> dict[str, torch.Tensor]:
        queue = self.channel_queue
        if index is None:
            index = torch.randperm(len(queue), device=queue.device)
            index = index[: self.contrast_size]
        pairs = pair_relation_kl(
            student,
            teacher,
            1 / self.temperature,
            groups_of(self, len(student)),
        )
        s, t = student.flatten(0, 1), teacher.flatten(0, 1)
        memory = bank_relation_kl(
            s,
            t,
            queue[index],
            s.new_full((len(s),), 1 / len(s)),
            1 / (self.temperature * self.kd_temperature),
        )
        memory = memory * self.kd_temperature**2
        mse = functional.mse_loss(s, t)
        return dict(
            loss_channel_minibatch=self.minibatch_loss_weight * pairs,
            loss_channel_memory=self.memory_loss_weight * memory,
            loss_channel_mse=self.mse_loss_weight * mse,
        )

    @torch.no_grad()
    def remember(
        self, rows: torch.Tensor, index: torch.Tensor | None = None
    ) -> None:
        """Write rows of all processes into the queue.

        Args:
            rows: (N C_t, P) of this process.
            index: of the rows of all processes; None draws them.
        """
        rows = gather_rows(rows)
        if index is None:
            index = torch.randperm(len(rows), device=rows.device)
            index = index[: self.rows_per_step]
        if get_world_size() > 1:
            broadcast_from_first([index])
            if not self._shared:
                broadcast_from_first([self.channel_queue, self.channel_ptr])
                self._shared = True
        count = torch.full((1, 1), len(index), device=rows.device)
        enqueue(
            self.channel_queue[None], self.channel_ptr,
            rows[index][None, None], count,
        )  # fmt: skip

    def _pool(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(maps, self.pool, ceil_mode=True)

    def _check(self, student: torch.Tensor, teacher: torch.Tensor) -> None:
        owner = type(self).__name__
        check_feature_maps(owner, student, teacher)
        check_channels(owner, 'student', student, self.student_channels)
        check_channels(owner, 'teacher', teacher, self.teacher_channels)
        if tuple(teacher.shape[2:]) != self.size:
            raise ValueError(
                f'{owner}: teacher_size={self.size}, but the teacher '
                f'features are {tuple(teacher.shape)}: the queue holds rows '
                'of one length; set teacher_size to the size of the maps '
                'of training crops (or leave it out), and crop all alike'
            )

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'teacher_size={self.size}, pool={self.pool}, '
            f'temperature={self.temperature}'
        )


def _rows(maps: torch.Tensor) -> torch.Tensor:
    """Return unit rows (N, C, P) of maps (N, C, h, w)."""
    return functional.normalize(maps.flatten(2), dim=2)
