"""Pictures: plots of runs, of predictions, of what networks see."""

from mmkd.visualization.bars import plot_bars
from mmkd.visualization.class_bars import plot_class_bars
from mmkd.visualization.curves import plot_curves
from mmkd.visualization.embedding_maps import plot_embedding_maps
from mmkd.visualization.jigsaw import (
    draw_heatmaps,
    draw_pose,
    draw_slots,
    reassemble,
)
from mmkd.visualization.matrix import plot_matrix
from mmkd.visualization.panels import colour_map, overlay, plot_panels

__all__ = [
    'colour_map',
    'draw_heatmaps',
    'draw_pose',
    'draw_slots',
    'overlay',
    'plot_bars',
    'plot_class_bars',
    'plot_curves',
    'plot_embedding_maps',
    'plot_matrix',
    'plot_panels',
    'reassemble',
]
