"""Optimizer wrappers."""

from mmkd.engine.optimizers.autocast_optim_wrapper import AutocastOptimWrapper

__all__ = ['AutocastOptimWrapper']
