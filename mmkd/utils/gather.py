"""All-gather through which gradients flow."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

from mmkd.utils.dist import gather_rows, get_rank, get_world_size


def gather_rows_with_grad(tensor: torch.Tensor) -> torch.Tensor:
    """Concatenate the tensors of all processes in the order of ranks.

    Differentiable: every process receives, for its own rows, the sum of the
    gradients of all processes. If each computes the mean loss of its own
    rows, averaging the gradients of the parameters over the processes (as
    DistributedDataParallel does) yields those of the mean over all rows.
    Every process must run the backward pass. Without a process group the
    tensor itself comes back.

    Args:
        tensor: (N, ...), of the same shape in every process.

    Returns:
        (world size * N, ...).
    """
    if get_world_size() == 1:
        return tensor
    return _GatherRows.apply(tensor)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        ctx.rows = len(tensor)
        return gather_rows(tensor)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        grad = grad.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(grad)
        start = get_rank() * ctx.rows
        return grad[start : start + ctx.rows]
