"""Pair-wise similarities of the pixels of an image (SKD)."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.registry import MODELS
from mmkd.utils.shapes import check_feature_maps

HALF = 'half'


@MODELS.register_module()
class PairwiseSimilarityLoss(FeaturePairLoss):
    """Imitate how alike the pixels of an image are.

    Both maps are max-pooled (ceil mode) to P positions and normalised over
    channels, u (C x P); with G = u^T u of every image,

    loss = mean over N, P, P of (G_s - G_t)^2.

    Published weight 10. Paper: https://arxiv.org/abs/1903.04197, its
    pair-wise distillation.

    No P x P matrix is formed where maps have more positions than channels:
    |u_s^T u_s - u_t^T u_t|^2 = |u_s u_s^T|^2 - 2 |u_s u_t^T|^2 +
    |u_t u_t^T|^2, in float64, as it is a difference of large numbers. It can
    be differentiated once.

    Args:
        pool_kernel: pooling window and stride; ``'half'``: half the map, the
            2x2 regions of the paper.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, h, w) and (N, C_t, h, w), or lists of such
            maps; channels may differ.
        returns: scalar.

    Raises:
        ValueError: heights or widths differ, or a bad ``pool_kernel``.
    """

    def __init__(
        self, pool_kernel: int | str = 2, loss_weight: float = 1.0
    ) -> None:
        super().__init__(loss_weight)
        whole = isinstance(pool_kernel, int) and pool_kernel > 0
        if not whole and pool_kernel != HALF:
            raise ValueError(
                f'PairwiseSimilarityLoss: pool_kernel={pool_kernel!r} must '
                f"be a positive number or '{HALF}'; set pool_kernel=2"
            )
        self.pool_kernel = pool_kernel

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of maps."""
        check_feature_maps('PairwiseSimilarityLoss', student, teacher)
        u_s, u_t = self._pixels(student), self._pixels(teacher)
        if u_s.shape[2] <= max(u_s.shape[1], u_t.shape[1]):
            gap = u_s.mT @ u_s - u_t.mT @ u_t
            return gap.square().mean()
        distance = _GramDistance.apply(u_s, u_t)
        return distance / (len(u_s) * u_s.shape[2] ** 2)

    def _pixels(self, maps: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (N, C, P)."""
        size: Any = self.pool_kernel
        if size == HALF:
            size = [max(side // 2, 1) for side in maps.shape[2:]]
        pooled = functional.max_pool2d(maps, size, ceil_mode=True)
        return functional.normalize(pooled.flatten(2), dim=1)

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return f'pool_kernel={self.pool_kernel}, {super().extra_repr()}'


class _GramDistance(torch.autograd.Function):
    """Sum over images of |u_s^T u_s - u_t^T u_t|_F^2, by C x C products.

    The rows of M = [u_s; u_t] [u_s; u_t]^T that belong to u_s, with the sign
    of the cross terms turned, give the gradient 4 M_s [u_s; u_t], which is
    formed in the forward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        count = student.shape[1]
        both = torch.cat([student, teacher], dim=1).double()
        products = both @ both.mT
        squares = products.square()
        cross = squares[:, :count, count:].sum()
        if ctx.needs_input_grad[0]:
            signed = products[:, :count]
            signed[:, :, count:].neg_()
            ctx.save_for_backward((4 * signed @ both).to(student))
        distance = (squares.sum() - 4 * cross).clamp(min=0)
        return distance.to(student)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None
