"""Auxiliary heads. Heads that need a task repository are not imported here."""

from mmkd.models.heads.batch_norm_margins import BatchNormMargins
from mmkd.models.heads.context_block import ContextBlock
from mmkd.models.heads.contrastive_embedding import ContrastiveEmbedding
from mmkd.models.heads.embedding_mlp import EmbeddingMLP
from mmkd.models.heads.embedding_projection import EmbeddingProjection
from mmkd.models.heads.feature_fusion_head import FeatureFusionHead
from mmkd.models.heads.feature_map_discriminator import FeatureMapDiscriminator
from mmkd.models.heads.feature_refinement import FeatureRefinement
from mmkd.models.heads.hierarchical_branches import HierarchicalBranches
from mmkd.models.heads.layer_matching_network import LayerMatchingNetwork
from mmkd.models.heads.logit_aggregator import LogitAggregator
from mmkd.models.heads.peer_ensemble_head import PeerEnsembleHead
from mmkd.models.heads.projection_head import ProjectionHead
from mmkd.models.heads.self_attention_discriminator import (
    SelfAttentionDiscriminator,
)
from mmkd.models.heads.stage_heads import StageClassifiers, StageEmbeddings

__all__ = [
    'BatchNormMargins',
    'ContextBlock',
    'ContrastiveEmbedding',
    'EmbeddingMLP',
    'EmbeddingProjection',
    'FeatureFusionHead',
    'FeatureMapDiscriminator',
    'FeatureRefinement',
    'HierarchicalBranches',
    'LayerMatchingNetwork',
    'LogitAggregator',
    'PeerEnsembleHead',
    'ProjectionHead',
    'SelfAttentionDiscriminator',
    'StageClassifiers',
    'StageEmbeddings',
]
