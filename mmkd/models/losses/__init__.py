"""Losses: pure tensors in, scalars out."""

from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.models.losses.minibatch_pixel_relation_loss import (
    MiniBatchPixelRelationLoss,
)
from mmkd.models.losses.pixel_region_memory_loss import PixelRegionMemoryLoss

__all__ = [
    'KLDivLoss',
    'MiniBatchPixelRelationLoss',
    'PixelRegionMemoryLoss',
]
