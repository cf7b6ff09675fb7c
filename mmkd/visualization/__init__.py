"""Plots of runs, pictures of predictions, progress in one line."""

from mmkd.visualization.bars import plot_bars
from mmkd.visualization.cohort_curves import peer_curves, read_scalars
from mmkd.visualization.curves import plot_curves, smoothed
from mmkd.visualization.embedding_maps import plot_embedding_maps, project
from mmkd.visualization.jigsaw import (
    draw_heatmaps,
    draw_pose,
    draw_slots,
    reassemble,
)
from mmkd.visualization.matrix import plot_matrix
from mmkd.visualization.panels import colour_map, overlay, plot_panels
from mmkd.visualization.progress import (
    ProgressHook,
    RunHistory,
    duration,
    median_step,
)

__all__ = [
    'ProgressHook',
    'RunHistory',
    'colour_map',
    'draw_heatmaps',
    'draw_pose',
    'draw_slots',
    'duration',
    'median_step',
    'overlay',
    'peer_curves',
    'plot_bars',
    'plot_curves',
    'plot_embedding_maps',
    'plot_matrix',
    'plot_panels',
    'project',
    'read_scalars',
    'reassemble',
    'smoothed',
]
