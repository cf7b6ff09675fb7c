"""Which gradients and weights are finite."""

from __future__ import annotations

import torch
from torch import nn


def total_norm(gradients: list[torch.Tensor]) -> float:
    """Return the norm of all gradients together.

    Args:
        gradients: of any shapes, types and devices, sparse ones too.
    """
    dense = [
        g.coalesce().values() if g.is_sparse else g
        for g in gradients
        if g.numel()
    ]
    if not dense:
        return 0.0
    norms = getattr(torch, '_foreach_norm', None)
    kinds = {(g.dtype, g.device, g.is_floating_point()) for g in dense}
    if norms is not None and len(kinds) == 1:
        found = norms(dense)
    else:
        found = [torch.linalg.vector_norm(g) for g in dense]
    device = found[0].device
    # The sum is finite where each is: one of them may be near the largest
    # number of its type.
    return float(
        torch.stack([n.to(device, torch.float64) for n in found]).norm()
    )


def nonfinite_weights(model: nn.Module) -> list[str]:
    """Return the parameters and running averages that are not finite."""
    names = [n for n, p in model.named_parameters() if not is_finite(p)]
    names += [
        name
        for name, buffer in model.named_buffers()
        if name.endswith(('running_mean', 'running_var'))
        and not is_finite(buffer)
    ]
    return names


def is_finite(tensor: torch.Tensor) -> bool:
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    return bool(tensor.detach().isfinite().all())


def listed(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    text = ', '.join(names[:most])
    return f'{text} and {more} more' if more > 0 else text
