"""Queues and banks of embeddings."""

from mmkd.models.memory.class_queue import enqueue, random_queue
from mmkd.models.memory.class_selection import (
    class_counts,
    region_means,
    select_pixels,
)
from mmkd.models.memory.contrast_indices import ContrastIndices
from mmkd.models.memory.key_queue import enqueue_keys
from mmkd.models.memory.pixel_region_memory import (
    PixelRegionMemory,
    sample_slots,
)
from mmkd.models.memory.sample_banks import random_banks, update_banks

__all__ = [
    'ContrastIndices',
    'PixelRegionMemory',
    'class_counts',
    'enqueue',
    'enqueue_keys',
    'random_banks',
    'random_queue',
    'region_means',
    'sample_slots',
    'select_pixels',
    'update_banks',
]
