"""Ring buffers of the keys of several peers."""

from __future__ import annotations

import torch


@torch.no_grad()
def enqueue_keys(
    queues: torch.Tensor, pointers: torch.Tensor, keys: torch.Tensor
) -> None:
    """Write keys behind the pointers, wrapping at the end, in place.

    Nothing waits for the device.

    Args:
        queues: (M, d, L), changed.
        pointers: (M,) next column, changed.
        keys: (M, B, d) with B <= L.
    """
    size, amount = queues.shape[2], keys.shape[1]
    order = torch.arange(amount, device=queues.device)
    columns = (pointers[:, None] + order) % size
    columns = columns[:, None].expand(-1, queues.shape[1], -1)
    queues.scatter_(2, columns, keys.transpose(1, 2).to(queues.dtype))
    pointers.copy_((pointers + amount) % size)
