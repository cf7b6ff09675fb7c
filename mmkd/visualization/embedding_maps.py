"""Features of images as points of the plane, network beside network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_MOST_IN_LEGEND = 20


def plot_embedding_maps(
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray,
    path: str | Path,
    classes: Sequence[str] = (),
) -> None:
    """Draw one panel of points per network into a PNG file.

    A class has the same colour in all panels.

    Args:
        maps: title -> points (N, 2).
        labels: (N,), the class of each image, from 0.
        path: file to write.
        classes: names for the legend, left out for more than 20 classes.

    Raises:
        ValueError: no map, or a map without one point per label.
    """
    if not maps:
        raise ValueError('plot_embedding_maps: give at least one map')
    for title, points in maps.items():
        if points.shape != (len(labels), 2):
            raise ValueError(
                f'plot_embedding_maps: map {title!r} is {points.shape}, '
                f'there are {len(labels)} labels; expected '
                f'({len(labels)}, 2)'
            )
    present = np.unique(labels)
    colours = class_colours(int(present.max()) + 1)
    legend = bool(classes) and len(present) <= _MOST_IN_LEGEND
    figure = Figure(
        figsize=(3.8 * len(maps) + 1.6 * legend, 4.0), layout='constrained'
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    size = float(np.clip(6000 / len(labels), 3, 24))
    for axis, (title, points) in zip(axes, maps.items(), strict=True):
        axis.scatter(
            points[:, 0],
            points[:, 1],
            c=colours[labels],
            s=size,
            linewidths=0,
            alpha=0.8,
        )
        axis.set_title(title, fontsize=11, loc='left')
        axis.set_aspect('equal', adjustable='datalim')
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_color('#bbbbbb')
    if legend:
        handles = [
            Line2D(
                [],
                [],
                linestyle='',
                marker='o',
                color=tuple(colours[label]),
                label=classes[label],
            )
            for label in present
        ]
        figure.legend(
            handles=handles,
            loc='outside right center',
            frameon=False,
            fontsize=9,
            handletextpad=0.1,
        )
    figure.savefig(path, dpi=130)


def class_colours(count: int) -> np.ndarray:
    """Colours (count, 3) from 0 to 1, as distinct as their number allows."""
    if count <= 20:
        name = 'tab10' if count <= 10 else 'tab20'
        palette = matplotlib.colormaps[name]
        if isinstance(palette, ListedColormap):
            return np.asarray(palette.colors)[:count]
    hues = matplotlib.colormaps['hsv'](np.linspace(0, 1, count + 1)[:-1])
    return np.asarray(hues)[:, :3]
