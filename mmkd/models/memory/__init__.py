"""Queues and banks of embeddings."""

from mmkd.models.memory.class_queue import enqueue, random_queue
from mmkd.models.memory.class_selection import (
    class_counts,
    region_means,
    select_pixels,
)

__all__ = [
    'class_counts',
    'enqueue',
    'random_queue',
    'region_means',
    'select_pixels',
]
