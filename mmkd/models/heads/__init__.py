"""Auxiliary heads. Heads that need a task repository are not imported here."""

from mmkd.models.heads.projection_head import ProjectionHead

__all__ = ['ProjectionHead']
