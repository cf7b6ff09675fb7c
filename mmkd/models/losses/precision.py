"""Precision in which losses are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Return half-precision tensors as float32, others unchanged."""
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    return tensor


def no_autocast(tensor: torch.Tensor) -> AbstractContextManager[None]:
    """Context in which autocast is off on the device of ``tensor``."""
    return torch.autocast(tensor.device.type, enabled=False)
