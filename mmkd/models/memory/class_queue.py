"""Ring buffers of embeddings, one per class, held as plain tensors."""

from __future__ import annotations

import torch
from torch.nn import functional


def random_queue(num_classes: int, size: int, feat_dim: int) -> torch.Tensor:
    """Return a queue (num_classes, size, feat_dim) of random unit vectors."""
    return functional.normalize(
        torch.randn(num_classes, size, feat_dim), dim=2
    )


@torch.no_grad()
def enqueue(
    queue: torch.Tensor,
    pointer: torch.Tensor,
    values: torch.Tensor,
    counts: torch.Tensor,
) -> None:
    """Write the first ``counts`` vectors of every image and class, in place.

    Images are written one after another. For an image and class with k
    vectors: they go to the slots from the pointer on, and the pointer moves
    by k; if that would reach the end of the queue, they go to the last k
    slots instead and the pointer restarts at 0. Nothing waits for the
    device: the loop over images works on all classes at once.

    Args:
        queue: (K, L, D), changed.
        pointer: (K,) next slot, changed.
        values: (N, K, P, D) with P <= L.
        counts: (N, K), 0..P.
    """
    size, num_values = queue.shape[1], values.shape[2]
    classes = torch.arange(len(queue), device=queue.device)[:, None]
    order = torch.arange(num_values, device=queue.device)
    for image_values, count in zip(values, counts, strict=True):
        overflow = pointer + count >= size
        start = torch.where(overflow, size - count, pointer)
        pointer.copy_(torch.where(overflow, 0, pointer + count))
        # slots beyond the count are distinct from the others, and get the
        # vectors back that they hold
        slots = (start[:, None] + order) % size
        valid = (order < count[:, None])[..., None]
        queue[classes, slots] = torch.where(
            valid, image_values, queue[classes, slots]
        )
