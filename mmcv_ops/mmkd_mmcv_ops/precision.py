"""Precision, and gradients of a function written in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def at_least_float32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Half precision becomes float32; other types stay, all become equal."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)


def without_autocast(tensor: Tensor) -> torch.autocast:
    """Compiled operators are not subject to autocast, stand-ins neither."""
    return torch.autocast(tensor.device.type, enabled=False)


def run(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """The value of a function of tensors, in float32 at least."""
    with torch.no_grad(), without_autocast(inputs[0]):
        return function(*at_least_float32(*inputs))


def gradients(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    grad_output: Tensor,
) -> tuple[Tensor, ...]:
    """Gradients of ``(function(*inputs) * grad_output).sum()``."""
    *leaves, grad_output = at_least_float32(*inputs, grad_output)
    with torch.enable_grad(), without_autocast(grad_output):
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        output = function(*leaves)
    return torch.autograd.grad(output, leaves, grad_output)
