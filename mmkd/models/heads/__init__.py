"""Auxiliary heads. Heads that need a task repository are not imported here."""

from mmkd.models.heads.context_block import ContextBlock
from mmkd.models.heads.contrastive_embedding import ContrastiveEmbedding
from mmkd.models.heads.projection_head import ProjectionHead

__all__ = ['ContextBlock', 'ContrastiveEmbedding', 'ProjectionHead']
