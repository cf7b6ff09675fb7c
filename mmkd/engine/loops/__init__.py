"""Loops."""

from mmkd.engine.loops.resumable_epoch_loop import (
    ResumableEpochBasedTrainLoop,
)
from mmkd.engine.loops.resumable_iter_loop import ResumableIterBasedTrainLoop

__all__ = ['ResumableEpochBasedTrainLoop', 'ResumableIterBasedTrainLoop']
