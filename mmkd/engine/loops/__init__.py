"""Loops."""

from mmkd.engine.loops.resumable_iter_loop import ResumableIterBasedTrainLoop

__all__ = ['ResumableIterBasedTrainLoop']
