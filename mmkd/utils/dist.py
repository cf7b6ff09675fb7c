"""Collective helpers that also work without a process group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from mmengine.dist import get_comm_device, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import distributed, nn
from torch.distributed.fsdp import FullyShardedDataParallel

__all__ = [
    'any_rank',
    'broadcast_from_first',
    'gather_rows',
    'get_rank',
    'get_world_size',
    'mean_of_ranks',
    'sharded',
    'unwrapped',
]


def unwrapped(model: nn.Module) -> Any:
    """Return the model inside a wrapper for several devices."""
    return model.module if is_model_wrapper(model) else model


def sharded(model: nn.Module) -> bool:
    """Return whether each process has only a part of the weights."""
    return isinstance(model, FullyShardedDataParallel)


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


@torch.no_grad()
def mean_of_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Return the mean of the tensors of all processes. Not differentiable."""
    world_size = get_world_size()
    if world_size == 1:
        return tensor
    tensor = tensor.clone()
    distributed.all_reduce(tensor)
    return tensor / world_size


def any_rank(value: bool) -> bool:
    """Whether ``value`` is true in any process; all of them must ask."""
    if get_world_size() == 1:
        return value
    flag = torch.tensor(float(value), device=get_comm_device())
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag)
