"""Normalisation layers that the task repositories lack."""

from mmkd.models.norms.grouped_batch_norm import GroupedBatchNorm

__all__ = ['GroupedBatchNorm']
