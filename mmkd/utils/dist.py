"""Collective helpers that also work without a process group."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import distributed


def get_world_size() -> int:
    """Return the number of processes; 1 without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def get_rank() -> int:
    """Return the index of this process; 0 without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank()
    return 0


@torch.no_grad()
def gather_rows(tensor: torch.Tensor) -> torch.Tensor:
    """Concatenate the tensors of all processes in the order of ranks.

    Not differentiable. Without a process group the tensor itself comes back.

    Args:
        tensor: (N, ...), of the same shape in every process.

    Returns:
        (world size * N, ...).
    """
    world_size = get_world_size()
    if world_size == 1:
        return tensor
    tensor = tensor.contiguous()
    parts = [torch.empty_like(tensor) for _ in range(world_size)]
    distributed.all_gather(parts, tensor)
    return torch.cat(parts)


@torch.no_grad()
def broadcast_from_first(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrite the tensors of every process by those of rank 0."""
    if get_world_size() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)
