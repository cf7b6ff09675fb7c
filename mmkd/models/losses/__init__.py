"""Losses: pure tensors in, scalars out."""

from mmkd.models.losses.ab_loss import ABLoss
from mmkd.models.losses.adapted_feature_mse_loss import AdaptedFeatureMSELoss
from mmkd.models.losses.adversarial_loss import AdversarialLoss
from mmkd.models.losses.aggregated_logit_kd_loss import AggregatedLogitKDLoss
from mmkd.models.losses.at_loss import ATLoss
from mmkd.models.losses.category_similarity_loss import CategorySimilarityLoss
from mmkd.models.losses.cc_loss import CCLoss
from mmkd.models.losses.channel_relation_loss import ChannelRelationLoss
from mmkd.models.losses.channel_wise_divergence_loss import (
    ChannelWiseDivergenceLoss,
)
from mmkd.models.losses.crd_loss import CRDLoss
from mmkd.models.losses.dense_cosine_loss import (
    DenseCosineLoss,
    GlobalCosineLoss,
)
from mmkd.models.losses.dkd_loss import DKDLoss
from mmkd.models.losses.fitnet_loss import FitNetLoss
from mmkd.models.losses.fsp_loss import FSPLoss
from mmkd.models.losses.ft_loss import FTLoss, ParaphraserLoss
from mmkd.models.losses.intra_class_feature_variation_loss import (
    IntraClassFeatureVariationLoss,
)
from mmkd.models.losses.joint_label_loss import JointLabelLoss
from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.models.losses.layerwise_mutual_contrastive_loss import (
    LayerwiseMutualContrastiveLoss,
)
from mmkd.models.losses.logit_ensemble_kd_loss import LogitEnsembleKDLoss
from mmkd.models.losses.lsgan_loss import (
    LSGANDiscriminatorLoss,
    LSGANGeneratorLoss,
)
from mmkd.models.losses.memory_layerwise_mutual_contrastive_loss import (
    MemoryLayerwiseMutualContrastiveLoss,
)
from mmkd.models.losses.memory_mutual_contrastive_loss import (
    MemoryMutualContrastiveLoss,
)
from mmkd.models.losses.memory_nce_loss import MemoryNCELoss
from mmkd.models.losses.minibatch_pixel_relation_loss import (
    MiniBatchPixelRelationLoss,
)
from mmkd.models.losses.moco_mutual_contrastive_loss import (
    MoCoMutualContrastiveLoss,
)
from mmkd.models.losses.mutual_contrastive_loss import MutualContrastiveLoss
from mmkd.models.losses.nst_loss import NSTLoss
from mmkd.models.losses.ofd_loss import OFDLoss
from mmkd.models.losses.pairwise_similarity_loss import PairwiseSimilarityLoss
from mmkd.models.losses.pixel_region_memory_loss import PixelRegionMemoryLoss
from mmkd.models.losses.pixel_similarity_residual_loss import (
    PixelSimilarityResidualLoss,
)
from mmkd.models.losses.pixelwise_kl_loss import PixelwiseKLLoss
from mmkd.models.losses.pkd_loss import PKDLoss
from mmkd.models.losses.pkt_loss import PKTLoss
from mmkd.models.losses.pseudo_class_loss import PseudoClassLoss
from mmkd.models.losses.review_kd_loss import ReviewKDLoss
from mmkd.models.losses.rkd_loss import RKDLoss
from mmkd.models.losses.rotated_match_loss import RotatedMatchLoss
from mmkd.models.losses.sp_loss import SPLoss
from mmkd.models.losses.sskd_loss import SSKDLoss
from mmkd.models.losses.vid_loss import VIDLoss

__all__ = [
    'ABLoss',
    'ATLoss',
    'AdaptedFeatureMSELoss',
    'AdversarialLoss',
    'AggregatedLogitKDLoss',
    'CCLoss',
    'CRDLoss',
    'CategorySimilarityLoss',
    'ChannelRelationLoss',
    'ChannelWiseDivergenceLoss',
    'DKDLoss',
    'DenseCosineLoss',
    'FSPLoss',
    'FTLoss',
    'FitNetLoss',
    'GlobalCosineLoss',
    'IntraClassFeatureVariationLoss',
    'JointLabelLoss',
    'KLDivLoss',
    'LSGANDiscriminatorLoss',
    'LSGANGeneratorLoss',
    'LayerwiseMutualContrastiveLoss',
    'LogitEnsembleKDLoss',
    'MemoryLayerwiseMutualContrastiveLoss',
    'MemoryMutualContrastiveLoss',
    'MemoryNCELoss',
    'MiniBatchPixelRelationLoss',
    'MoCoMutualContrastiveLoss',
    'MutualContrastiveLoss',
    'NSTLoss',
    'OFDLoss',
    'PKDLoss',
    'PKTLoss',
    'PairwiseSimilarityLoss',
    'ParaphraserLoss',
    'PixelRegionMemoryLoss',
    'PixelSimilarityResidualLoss',
    'PixelwiseKLLoss',
    'PseudoClassLoss',
    'RKDLoss',
    'ReviewKDLoss',
    'RotatedMatchLoss',
    'SPLoss',
    'SSKDLoss',
    'VIDLoss',
]
