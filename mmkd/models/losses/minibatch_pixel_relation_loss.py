"""Pixel relations between the images of a mini-batch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.fused_pair_kl import pair_relation_kl
from mmkd.models.losses.groups import groups_of
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_feature_maps, check_several

AUTO_POOL_SIZE = 256


@MODELS.register_module()
class MiniBatchPixelRelationLoss(nn.Module):
    """Imitate the similarities of all pixels of all pairs of images.

    S_ij = F_i F_j^T with L2-normalised pixel features F (A x C, A = h w);
    loss = 1 / (n^2 A) sum_{i, j, a} KL(softmax(S^t_ij[a] / temperature) ||
    softmax(S^s_ij[a] / temperature)) over all ordered pairs i, j of the n
    images of a group, i = j included; softmax over the A columns of each
    block. Groups are averaged with the number of their images as weight.
    Every pixel takes part, ignored ones too. The teacher is detached. Paper:
    https://arxiv.org/abs/2204.06986, its mini-batch pixel-to-pixel relation.

    Pairs are formed inside this process. The loss depends on the number of
    images in a group: to reproduce a run with 2 images per device on one
    device, set ``group_size=2``.

    The gradient is formed in the forward pass (twice differentiating is not
    possible) and nothing of size A x A is kept for the backward pass.

    Args:
        temperature: softening of the similarities, > 0.
        group_size: images per group; None is the whole batch. A batch that
            is no multiple of it has a smaller last group.
        pool: average both maps over pool x pool pixels first; None is off.
        auto_pool: average over 4 x 4 pixels if h and w are 256 or more.
        loss_weight: factor on the returned value.

    Shape:
        student_feats: (N, C_s, h, w).
        teacher_feats: (N, C_t, h, w). Half precision is computed in float32.
        returns: scalar.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        group_size: int | None = None,
        pool: int | None = None,
        auto_pool: bool = False,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(
            'MiniBatchPixelRelationLoss', 0.1, temperature=temperature
        )
        for key, value in dict(group_size=group_size, pool=pool).items():
            if value is not None and value < 1:
                raise ValueError(
                    f'MiniBatchPixelRelationLoss: {key}={value} must be a '
                    f'positive number or None; set e.g. {key}=2'
                )
        self.temperature = temperature
        self.group_size = group_size
        self.pool = pool
        self.auto_pool = auto_pool
        self.loss_weight = loss_weight

    def forward(
        self, student_feats: torch.Tensor, teacher_feats: torch.Tensor
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: the maps differ in N, h or w.
        """
        check_feature_maps(
            'MiniBatchPixelRelationLoss', student_feats, teacher_feats
        )
        with no_autocast(student_feats):
            student = self._pixels(student_feats)
            teacher = self._pixels(teacher_feats.detach()).to(student.dtype)
            check_several(
                'MiniBatchPixelRelationLoss',
                student,
                'tap maps of several pixels, or reduce pool',
            )
            loss = pair_relation_kl(
                student,
                teacher,
                1 / self.temperature,
                groups_of(self, len(student)),
            )
        return self.loss_weight * loss

    def _pixels(self, feats: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (N, A, C) of a map (N, C, h, w)."""
        feats = at_least_float32(feats)
        if self.pool is not None:
            feats = functional.avg_pool2d(feats, self.pool, ceil_mode=True)
        if self.auto_pool and min(feats.shape[2:]) >= AUTO_POOL_SIZE:
            feats = functional.avg_pool2d(feats, 4, ceil_mode=True)
        pixels = feats.flatten(2).transpose(1, 2).contiguous()
        return functional.normalize(pixels, dim=2)

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'temperature={self.temperature}, group_size={self.group_size}, '
            f'loss_weight={self.loss_weight}'
        )
