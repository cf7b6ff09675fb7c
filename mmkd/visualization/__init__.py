"""Plots of runs, pictures of predictions, progress in one line."""

from mmkd.visualization.curves import plot_curves, smoothed
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
    'duration',
    'median_step',
    'overlay',
    'plot_curves',
    'plot_panels',
    'smoothed',
]
