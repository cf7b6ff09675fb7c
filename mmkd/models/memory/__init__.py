"""Queues and banks of embeddings."""

from mmkd.models.memory.class_queue import enqueue, random_queue
from mmkd.models.memory.class_selection import (
    class_counts,
    region_means,
    select_pixels,
)
from mmkd.models.memory.pixel_region_memory import (
    PixelRegionMemory,
    sample_slots,
)

__all__ = [
    'PixelRegionMemory',
    'class_counts',
    'enqueue',
    'random_queue',
    'region_means',
    'sample_slots',
    'select_pixels',
]
