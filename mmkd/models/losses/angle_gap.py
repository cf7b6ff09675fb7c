"""Difference of all angles within two sets of points, by their distances."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

LEAST = 1e-12  # points nearer than this coincide


def angle_gap(
    student: torch.Tensor, teacher: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Return the mean smooth L1 distance of the cosines of all angles.

    The cosine at i between j and k is (d_ij^2 + d_ik^2 - d_jk^2) / (2 d_ij
    d_ik), and 0 where i coincides with one of them. The gradient is formed
    in the forward pass, from the same (N, N, N) tensors, of which none is
    kept. It can be differentiated once, and not towards the teacher.

    Args:
        student: distances (N, N), float64 because squares are subtracted.
        teacher: distances (N, N), float64.
        dtype: precision of the cosines.

    Returns:
        Scalar of ``dtype``.
    """
    return _AngleGap.apply(student, teacher, dtype)


def cosines(distance: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return cosines (N, N, N) of the angles at i between j and k.

    Args:
        distance: (N, N), float64.
        scale: what `inverse_products` gives.
    """
    square = distance.square()
    sides = square[:, :, None] + square[:, None, :]
    return sides.sub_(square).to(scale.dtype).mul_(scale)


def inverse_products(
    distance: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Return 1 / (2 d_ij d_ik), (N, N, N)."""
    inverse = (inverse_of(distance) / 2**0.5).to(dtype)
    return inverse[:, :, None] * inverse[:, None, :]


def inverse_of(distance: torch.Tensor) -> torch.Tensor:
    """Return 1 / distance, and 0 for points that coincide."""
    return torch.where(distance > LEAST, 1 / distance, 0)


class _AngleGap(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: torch.Tensor,
        teacher: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        scale = inverse_products(student, dtype)
        cosine = cosines(student, scale)
        gap = cosines(teacher, inverse_products(teacher, dtype))
        gap = torch.sub(cosine, gap, out=gap)
        slope = gap.clamp(-1, 1)  # derivative of the smooth L1 distance
        count = gap.numel()
        loss = _dot(slope, gap) - _dot(slope, slope) / 2
        if ctx.needs_input_grad[0]:
            grad = _gradient(student, cosine, scale, slope)
            ctx.save_for_backward(grad / count)
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: torch.Tensor
    ) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None


def _gradient(
    distance: torch.Tensor,
    cosine: torch.Tensor,
    scale: torch.Tensor,
    slope: torch.Tensor,
) -> torch.Tensor:
    """Return sum_ijk slope_ijk d cosine_ijk / d distance, (N, N).

    Slopes and cosines are symmetric in j and k. The cosine changes with d_ij
    by 2 d_ij scale_ijk, as a side of i, and by -cosine / d_ij, as its
    divisor; with d_jk, the side opposite to i, by -2 d_jk scale_ijk.
    """
    weight = slope * scale
    sides = distance * (2 * weight.sum(2) - weight.sum(0))
    divisors = inverse_of(distance) * torch.linalg.vecdot(slope, cosine)
    return 2 * (sides - divisors)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.dot(a.flatten(), b.flatten())
