"""Pruning while training, and the smaller network afterwards."""

from mmkd.pruning.compaction import (
    CompactionError,
    CompactionReport,
    CoupledGroup,
    compact,
    coupled_groups,
    mask_coupled,
)
from mmkd.pruning.masks import choose_masks, damp, filter_mask, weight_mask
from mmkd.pruning.methods import METHODS, PruningSchedule
from mmkd.pruning.recalibration import recalibrate_batch_norm
from mmkd.pruning.schedules import alpha_at, hard_ratio_at, rate_at
from mmkd.pruning.scores import filter_scores, num_pruned, select_filters
from mmkd.pruning.standalone_loader import ScatterNorm, apply_plan
from mmkd.pruning.targets import Target, find_norm, find_targets, zero_counts

__all__ = [
    'METHODS',
    'CompactionError',
    'CompactionReport',
    'CoupledGroup',
    'PruningSchedule',
    'ScatterNorm',
    'Target',
    'alpha_at',
    'apply_plan',
    'choose_masks',
    'compact',
    'coupled_groups',
    'damp',
    'filter_mask',
    'filter_scores',
    'find_norm',
    'find_targets',
    'hard_ratio_at',
    'mask_coupled',
    'num_pruned',
    'rate_at',
    'recalibrate_batch_norm',
    'select_filters',
    'weight_mask',
    'zero_counts',
]
