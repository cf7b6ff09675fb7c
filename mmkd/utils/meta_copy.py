"""Networks without storage, to learn shapes at no cost."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


def meta_copy(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` without storage."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(
            parameter.detach().to('meta'), requires_grad=False
        )
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.detach().to('meta')
    return copy.deepcopy(network, memo)


def meta_input(network: nn.Module, *shape: int) -> torch.Tensor:
    """Return an input without storage, in the precision of ``network``."""
    maps = torch.empty(shape, device='meta')
    return maps.to(next(network.parameters(), maps).dtype)
