"""Queues of teacher pixels and class regions."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.models.memory.class_queue import enqueue, random_queue
from mmkd.models.memory.class_selection import region_means, select_pixels
from mmkd.utils.dist import broadcast_from_first, gather_rows, get_world_size

SAMPLINGS = ('leading', 'class')


class PixelRegionMemory(nn.Module):
    """Remember single pixels and region means of every class.

    Buffers: ``pixel_queue`` (K, pixel_memory_size, D), ``region_queue``
    (K, region_memory_size, D), ``pixel_ptr`` (K,), ``region_ptr`` (K,). The
    queues start as random unit vectors, those of rank 0 in every process,
    and stay identical in all processes.

    Args:
        num_classes: K.
        feat_dim: D.
        pixel_memory_size: pixel vectors per class.
        region_memory_size: region vectors per class.
        pixels_per_class: pixels to remember per image and class.
        pixel_sampling: 'leading' or 'class', see ``select_pixels``.
        persistent: keep the buffers in the ``state_dict``.

    Raises:
        ValueError: unknown sampling, or a queue smaller than one write.
    """

    pixel_queue: torch.Tensor
    region_queue: torch.Tensor
    pixel_ptr: torch.Tensor
    region_ptr: torch.Tensor

    def __init__(
        self,
        num_classes: int,
        feat_dim: int,
        pixel_memory_size: int,
        region_memory_size: int,
        pixels_per_class: int,
        pixel_sampling: str,
        persistent: bool = True,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if pixel_sampling not in SAMPLINGS:
            raise ValueError(
                f'{owner}: pixel_sampling={pixel_sampling!r} is unknown; '
                f'choose one of {SAMPLINGS}'
            )
        if pixel_memory_size < pixels_per_class:
            raise ValueError(
                f'{owner}: pixel_memory_size={pixel_memory_size} is smaller '
                f'than pixels_per_class={pixels_per_class}; enlarge the '
                'queue or remember fewer pixels'
            )
        self.num_classes = num_classes
        self.pixels_per_class = pixels_per_class
        self.pixel_sampling = pixel_sampling
        sizes = dict(pixel=pixel_memory_size, region=region_memory_size)
        for kind, size in sizes.items():
            queue = random_queue(num_classes, size, feat_dim)
            pointer = torch.zeros(num_classes, dtype=torch.long)
            self.register_buffer(f'{kind}_queue', queue, persistent)
            self.register_buffer(f'{kind}_ptr', pointer, persistent)
        self._queues_shared = False

    @torch.no_grad()
    def remember(
        self,
        pixels: torch.Tensor,
        classes: torch.Tensor,
        draws: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Write chosen pixels and regions of all processes, rank by rank.

        Every process chooses among its own pixels; only what is written is
        exchanged.

        Args:
            pixels: (N, A, D) unit vectors; N is the same in every process.
            classes: (N, A), 0..K; K marks pixels of no class.
            draws: see ``select_pixels``; images numbered in this process.
            generator: source of random numbers; None is PyTorch's default.
        """
        self._share_queues()
        index, counts = select_pixels(
            classes,
            self.num_classes,
            self.pixels_per_class,
            self.pixel_sampling,
            draws,
            generator,
        )
        images = torch.arange(len(index), device=index.device)[:, None, None]
        regions = region_means(pixels, classes, self.num_classes)
        values = torch.cat([pixels[images, index], regions[:, :, None]], 2)
        values, counts = gather_rows(values), gather_rows(counts)
        enqueue(self.pixel_queue, self.pixel_ptr, values[:, :, :-1], counts)
        enqueue(
            self.region_queue,
            self.region_ptr,
            values[:, :, -1:],
            counts.clamp(max=1),
        )

    def _share_queues(self) -> None:
        """Start all processes from the queues of rank 0."""
        if not self._queues_shared and get_world_size() > 1:
            broadcast_from_first(
                [
                    self.pixel_queue,
                    self.region_queue,
                    self.pixel_ptr,
                    self.region_ptr,
                ]
            )
            self._queues_shared = True


def sample_slots(
    queue: torch.Tensor,
    num_slots: int,
    index: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Take the same random slots of every class.

    Args:
        queue: (K, L, D).
        num_slots: v, at most L.
        index: (v,) slots to take instead of random ones.
        generator: source of random numbers; None is PyTorch's default.

    Returns:
        (K v, D), class by class.
    """
    if index is None:
        device = queue.device if generator is None else generator.device
        index = torch.randperm(
            queue.shape[1], generator=generator, device=device
        )[:num_slots]
    return queue.index_select(1, index.to(queue.device)).flatten(0, 1)
