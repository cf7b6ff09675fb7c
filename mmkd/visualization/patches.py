"""Windows on images, evidence maps, contributions and exits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmkd.visualization.curves import COLOURS

TITLES = ('patches', 'activation', 'share of every window', 'decision')


def plot_patches(
    rows: Sequence[dict[str, Any]], path: str | Path, patch_size: int
) -> None:
    """Draw one row of panels for each image into a PNG file.

    The panels: the image with its windows in the order of looking and their
    scores; the activation of the class that the proposal network names;
    what each window adds to that class's logit; what the whole image and
    each patch add to the logit that decided.

    Args:
        rows: each has ``image`` (H, W, 3) uint8, ``boxes`` (K, 4),
            ``scores`` (K,), ``evidence`` (gh, gw), ``contributions`` (M,),
            ``confidences`` (M,), ``stage`` from 1, and ``title``.
        path: file to write.
        patch_size: side of the windows of ``evidence`` in pixels.

    Raises:
        ValueError: there are no images.
    """
    if not rows:
        raise ValueError('plot_patches: give at least one image')
    figure = Figure(figsize=(10.5, 2.7 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        _draw_windows(line[0], row)
        _draw_activation(line[1], row, patch_size)
        _draw_evidence(line[2], row)
        _draw_decision(line[3], row)
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=9)
    figure.savefig(path, dpi=120)


def windows_panel(row: dict[str, Any]) -> np.ndarray:
    """Draw one image with its windows, the first panel of `plot_patches`.

    Args:
        row: ``image``, ``boxes``, ``scores``, ``stage``, ``title``, as there.

    Shape:
        returns: (H', W', 3), uint8, RGB.
    """
    figure = Figure(figsize=(3.6, 3.6), layout='constrained')
    canvas = FigureCanvasAgg(figure)
    _draw_windows(figure.subplots(), row)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_windows(axis: Any, row: dict[str, Any]) -> None:
    axis.imshow(row['image'])
    for k, (box, score) in enumerate(
        zip(row['boxes'], row['scores'], strict=True)
    ):
        y1, x1, y2, x2 = box
        seen = k + 2 <= row['stage']  # the first stage looks at the whole
        colour = COLOURS[k % len(COLOURS)]
        axis.add_patch(
            Rectangle(
                (x1 - 0.5, y1 - 0.5),
                x2 - x1 + 1,
                y2 - y1 + 1,
                fill=False,
                linewidth=1.8 if seen else 1.0,
                linestyle='-' if seen else ':',
                edgecolor=colour,
            )
        )
        axis.text(
            x1 + 1,
            y1 + 1,
            f'{k + 1}: {score:.3f}',
            fontsize=6,
            va='top',
            color='white',
            bbox=dict(facecolor=colour, pad=0.8, linewidth=0),
        )
    axis.set_ylabel(row['title'], fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])


def _draw_activation(axis: Any, row: dict[str, Any], size: int) -> None:
    height, width = row['image'].shape[:2]
    axis.imshow(row['image'])
    evidence = row['evidence']
    # centres of the first and the last window, half a cell beyond
    bottom, right = height - size / 2, width - size / 2
    pad_y = (bottom - size / 2) / max(evidence.shape[0] - 1, 1) / 2
    pad_x = (right - size / 2) / max(evidence.shape[1] - 1, 1) / 2
    axis.imshow(
        evidence,
        extent=(size / 2 - pad_x, right + pad_x, bottom + pad_y,
                size / 2 - pad_y),
        cmap='inferno',
        alpha=0.55,
        interpolation='nearest',
    )  # fmt: skip
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)
    axis.axis('off')


def _draw_evidence(axis: Any, row: dict[str, Any]) -> None:
    evidence = row['evidence']
    limit = float(np.abs(evidence).max()) or 1.0
    axis.imshow(evidence, cmap='RdBu_r', vmin=-limit, vmax=limit)
    axis.set_xlabel(
        f'sum {evidence.sum():.2f} + bias = {row["proposal_logit"]:.2f}',
        fontsize=7,
    )
    axis.set_xticks([])
    axis.set_yticks([])


def _draw_decision(axis: Any, row: dict[str, Any]) -> None:
    values = row['contributions']
    used = np.arange(len(values)) < row['stage']
    names = ['whole', *(str(k) for k in range(1, len(values)))]
    colours = [COLOURS[0] if one else '#cccccc' for one in used]
    axis.barh(range(len(values)), values, color=colours)
    for k, (value, sure) in enumerate(
        zip(values, row['confidences'], strict=True)
    ):
        axis.text(
            max(value, 0), k, f' {100 * sure:.0f} %', fontsize=6, va='center'
        )
    axis.set_yticks(range(len(values)), names, fontsize=7)
    axis.invert_yaxis()
    axis.tick_params(axis='x', labelsize=6)
    axis.set_xlabel(f'logit {row["logit"]:.2f}', fontsize=7)
    axis.spines[['top', 'right']].set_visible(False)


def plot_exits(
    counts: Sequence[int], correct: Sequence[int], path: str | Path
) -> None:
    """Draw how many images leave at each stage, and how many are right.

    Raises:
        ValueError: the lists differ in length or are empty.
    """
    if len(counts) != len(correct) or not counts:
        raise ValueError(
            f'plot_exits: {len(counts)} counts and {len(correct)} right '
            'ones; give both for every stage'
        )
    figure = Figure(figsize=(5.0, 3.2), layout='constrained')
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    places = range(1, len(counts) + 1)
    axis.bar(places, counts, color=COLOURS[1], alpha=0.5, label='all')
    axis.bar(places, correct, color=COLOURS[0], label='right', width=0.5)
    for place, count, right in zip(places, counts, correct, strict=True):
        share = f'{100 * right / count:.0f} %' if count else '-'
        axis.text(place, count, share, ha='center', va='bottom', fontsize=8)
    axis.set_xticks(list(places))
    axis.set_xlabel('stage at which images leave (1: the whole image)')
    axis.set_ylabel('images')
    axis.legend(frameon=False, fontsize=8)
    axis.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
