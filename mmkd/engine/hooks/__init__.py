"""Hooks."""

from mmkd.engine.hooks.step_seed_hook import StepSeedHook

__all__ = ['StepSeedHook']
