"""Samplers."""

from mmkd.datasets.samplers.class_aware_sampler import ClassAwareSampler

__all__ = ['ClassAwareSampler']
