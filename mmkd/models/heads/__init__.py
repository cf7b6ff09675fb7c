"""Auxiliary heads. Heads that need a task repository are not imported here."""

from mmkd.models.heads.batch_norm_margins import BatchNormMargins
from mmkd.models.heads.context_block import ContextBlock
from mmkd.models.heads.contrastive_embedding import ContrastiveEmbedding
from mmkd.models.heads.embedding_mlp import EmbeddingMLP
from mmkd.models.heads.hierarchical_branches import HierarchicalBranches
from mmkd.models.heads.projection_head import ProjectionHead
from mmkd.models.heads.self_attention_discriminator import (
    SelfAttentionDiscriminator,
)

__all__ = [
    'BatchNormMargins',
    'ContextBlock',
    'ContrastiveEmbedding',
    'EmbeddingMLP',
    'HierarchicalBranches',
    'ProjectionHead',
    'SelfAttentionDiscriminator',
]
