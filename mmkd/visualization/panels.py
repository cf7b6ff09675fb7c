"""Segmentations as coloured images, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch


def colour_map(
    seg_map: np.ndarray,
    palette: Sequence[Sequence[int]],
    ignore_colour: Sequence[int] = (255, 255, 255),
) -> np.ndarray:
    """Colour of every pixel's class; labels without colour are ignored.

    Shape:
        seg_map: (H, W), integers.
        returns: (H, W, 3), uint8, red-green-blue.
    """
    colours = np.asarray([*palette, ignore_colour], np.uint8)
    labels = np.asarray(seg_map, np.int64)
    known = (labels >= 0) & (labels < len(palette))
    return colours[np.where(known, labels, len(palette))]


def overlay(
    image: np.ndarray, colours: np.ndarray, opacity: float = 0.5
) -> np.ndarray:
    """Blend colours (H, W, 3) over an image (H, W, 3), uint8 both."""
    if image.shape != colours.shape:
        raise ValueError(
            f'overlay: the image is {image.shape}, the colours '
            f'{colours.shape}; resize one of them'
        )
    mixed = (1 - opacity) * image.astype(np.float32) + opacity * colours
    return np.rint(mixed).astype(np.uint8)


def plot_panels(
    columns: Mapping[str, Sequence[np.ndarray]],
    path: str | Path,
    legend: Mapping[str, Sequence[int]] | None = None,
    title: str | None = None,
) -> None:
    """Draw images in a table, one column per title, into a PNG file.

    Args:
        columns: column title -> images (H, W, 3), uint8, red-green-blue,
            equally many in each column.
        path: file to write.
        legend: class name -> colour, drawn below the table.
        title: line above the table.

    Raises:
        ValueError: the columns are empty or differ in length.
    """
    counts = {name: len(images) for name, images in columns.items()}
    if len(set(counts.values())) != 1 or not min(counts.values()):
        raise ValueError(
            f'plot_panels: images per column {counts} must be equal and not '
            'zero'
        )
    rows = next(iter(counts.values()))
    first = next(iter(columns.values()))[0]
    width = 1.9 * len(columns)
    height = 1.9 * rows * first.shape[0] / first.shape[1]
    per_line = max(1, min(len(legend or ()), 2 * len(columns)))
    lines = -(-len(legend or ()) // per_line)
    extra = 0.45 + 0.35 * bool(title) + 0.15 * bool(lines) + 0.25 * lines
    figure = Figure(figsize=(width, height + extra))
    figure.set_layout_engine('constrained', w_pad=0.02, h_pad=0.02)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for j, (name, images) in enumerate(columns.items()):
        axes[0, j].set_title(name, fontsize=10)
        for i, image in enumerate(images):
            axes[i, j].imshow(image, interpolation='nearest')
            axes[i, j].axis('off')
    if title:
        figure.suptitle(title, fontsize=11)
    if legend:
        handles: list[Artist] = [
            Patch(color=(r / 255, g / 255, b / 255), label=name)
            for name, (r, g, b) in legend.items()
        ]
        figure.legend(
            handles=handles,
            loc='outside lower center',
            ncols=per_line,
            frameon=False,
            fontsize=9,
            handlelength=1.0,
            columnspacing=1.2,
        )
    figure.savefig(path, dpi=130)
