"""Hooks."""

from mmkd.engine.hooks.best_peer_hook import BestPeerHook
from mmkd.engine.hooks.dataset_labels_hook import DatasetLabelsHook
from mmkd.engine.hooks.doctor_hook import DoctorHook
from mmkd.engine.hooks.equal_batches_hook import EqualBatchesHook
from mmkd.engine.hooks.export_student_hook import ExportStudentHook
from mmkd.engine.hooks.filter_norms_hook import FilterNormsHook
from mmkd.engine.hooks.finite_gradient_hook import FiniteGradientHook
from mmkd.engine.hooks.held_out_weights_hook import HeldOutWeightsHook
from mmkd.engine.hooks.meta_optimization_hook import MetaOptimizationHook
from mmkd.engine.hooks.patch_visualization_hook import (
    PatchVisualizationHook,
)
from mmkd.engine.hooks.progress_hook import ProgressHook
from mmkd.engine.hooks.rank_mean_hook import RankMeanHook
from mmkd.engine.hooks.resume_state_hook import ResumeStateHook
from mmkd.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from mmkd.engine.hooks.sample_index_hook import SampleIndexHook
from mmkd.engine.hooks.soft_filter_pruning_hook import SoftFilterPruningHook
from mmkd.engine.hooks.step_seed_hook import StepSeedHook
from mmkd.engine.hooks.terminal_line_hook import TerminalLineHook
from mmkd.engine.hooks.view_metrics_hook import ViewMetricsHook

__all__ = [
    'BestPeerHook',
    'DatasetLabelsHook',
    'DoctorHook',
    'EqualBatchesHook',
    'ExportStudentHook',
    'FilterNormsHook',
    'FiniteGradientHook',
    'HeldOutWeightsHook',
    'MetaOptimizationHook',
    'PatchVisualizationHook',
    'ProgressHook',
    'RankMeanHook',
    'ResumeStateHook',
    'SafeCheckpointHook',
    'SampleIndexHook',
    'SoftFilterPruningHook',
    'StepSeedHook',
    'TerminalLineHook',
    'ViewMetricsHook',
]
