"""Losses: pure tensors in, scalars out."""

from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.models.losses.logit_ensemble_kd_loss import LogitEnsembleKDLoss
from mmkd.models.losses.memory_mutual_contrastive_loss import (
    MemoryMutualContrastiveLoss,
)
from mmkd.models.losses.minibatch_pixel_relation_loss import (
    MiniBatchPixelRelationLoss,
)
from mmkd.models.losses.moco_mutual_contrastive_loss import (
    MoCoMutualContrastiveLoss,
)
from mmkd.models.losses.mutual_contrastive_loss import MutualContrastiveLoss
from mmkd.models.losses.pixel_region_memory_loss import PixelRegionMemoryLoss
from mmkd.models.losses.pixelwise_kl_loss import PixelwiseKLLoss

__all__ = [
    'KLDivLoss',
    'LogitEnsembleKDLoss',
    'MemoryMutualContrastiveLoss',
    'MiniBatchPixelRelationLoss',
    'MoCoMutualContrastiveLoss',
    'MutualContrastiveLoss',
    'PixelRegionMemoryLoss',
    'PixelwiseKLLoss',
]
