"""Products of all rows of a matrix with each other."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable


def gram(rows: torch.Tensor, scale: float) -> torch.Tensor:
    """Return scale * rows rows^T.

    As the result is symmetric, one product replaces the two of automatic
    differentiation in the backward pass. It can be differentiated only once.

    Args:
        rows: (R, d).
        scale: factor.

    Returns:
        (R, R).
    """
    return _Gram.apply(rows, scale)


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.save_for_backward(rows)
        ctx.scale = scale
        return _scaled(rows, scale) @ rows.T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (rows,) = ctx.saved_tensors
        # copied first: far quicker than adding a transposed view
        both = grad.T.contiguous().add_(grad)
        return both @ _scaled(rows, ctx.scale), None


def _scaled(rows: torch.Tensor, scale: float) -> torch.Tensor:
    return rows if scale == 1 else scale * rows  # rows may be large
