"""Pictures of pruning: norms over the training, zero share, what is traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmkd.visualization.curves import COLOURS


def plot_filter_norms(
    norms: Mapping[str, np.ndarray],
    path: str | Path,
    rate: float = 0.0,
    title: str | None = None,
) -> None:
    """Draw the norm of every filter over the steps, a panel per layer.

    Args:
        norms: layer -> (steps, filters).
        path: PNG file to write.
        rate: share of filters that was pruned in the end; these, the
            smallest at the last step, have another colour.
        title: line above.

    Raises:
        ValueError: there is no layer.
    """
    if not norms:
        raise ValueError('plot_filter_norms: no layer to draw; give one')
    columns = min(len(norms), 4)
    rows = -(-len(norms) // columns)
    figure, axes = _panels(rows, columns, (3.4, 2.7))
    for axis, (name, values) in zip(axes, norms.items(), strict=False):
        pruned = np.argsort(values[-1], kind='stable')
        pruned = pruned[: int(values.shape[1] * rate + 1e-6)]
        steps = np.arange(1, len(values) + 1)
        for j in range(values.shape[1]):
            gone = j in pruned
            axis.plot(
                steps,
                values[:, j],
                color=COLOURS[2] if gone else COLOURS[1],
                linewidth=0.8,
                alpha=0.8 if gone else 0.45,
                zorder=3 if gone else 2,
            )
        axis.set_title(name, fontsize=9, loc='left')
        axis.set_ylim(bottom=0)
        axis.set_xlabel('step')
        axis.set_ylabel('norm of a filter')
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for axis in axes[len(norms) :]:
        axis.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def plot_zero_shares(
    shares: Mapping[str, Mapping[str, float]], path: str | Path
) -> None:
    """Draw the share of zero filters of every layer.

    Args:
        shares: name of the network -> layer -> share.
        path: PNG file to write.

    Raises:
        ValueError: there is nothing to draw.
    """
    layers = list(dict.fromkeys(n for each in shares.values() for n in each))
    if not layers:
        raise ValueError('plot_zero_shares: no layer to draw; give a network')
    figure, (axis,) = _panels(1, 1, (2.5 + 0.22 * len(layers), 4.2))
    width = 0.8 / len(shares)
    for k, (name, values) in enumerate(shares.items()):
        places = np.arange(len(layers)) + (k - (len(shares) - 1) / 2) * width
        heights = [100 * values.get(layer, 0.0) for layer in layers]
        colour = COLOURS[(k + 1) % len(COLOURS)]
        axis.bar(places, heights, width, label=name, color=colour)
    axis.set_xticks(range(len(layers)), layers, rotation=90, fontsize=7)
    axis.set_xlim(-0.7, len(layers) - 0.3)
    axis.set_ylim(0, 1.25 * axis.get_ylim()[1])  # room for the legend
    axis.set_ylabel('zero filters, %')
    axis.legend(frameon=False, ncols=3, loc='upper left', fontsize=8)
    figure.savefig(path, dpi=120)


def plot_tradeoff(
    series: Mapping[str, Sequence[tuple[float, float, float]]],
    path: str | Path,
    metric: str = 'accuracy/top1',
) -> None:
    """Draw a metric against multiply-adds, with deviations as bars.

    Args:
        series: from `tradeoff_points`; several points are joined. Words
            that all names have in common are left out.
        path: PNG file to write.
        metric: label of the vertical axis.

    Raises:
        ValueError: there is no point.
    """
    if not series:
        raise ValueError('plot_tradeoff: no series to draw; give one')
    figure, (axis,) = _panels(1, 1, (7.6, 4.4))
    names = _without_common_ends(list(series))
    for k, (name, points) in enumerate(
        zip(names, series.values(), strict=True)
    ):
        x, y, bars = zip(*points, strict=True)
        axis.errorbar(
            x,
            y,
            yerr=bars,
            label=name,
            color=COLOURS[k % len(COLOURS)],
            marker='os^Dvp'[k // len(COLOURS) % 6],
            markersize=5,
            capsize=2,
            linewidth=1.4,
        )
    axis.set_xlabel('multiply-adds of an image, millions')
    axis.set_ylabel(metric)
    figure.legend(frameon=False, fontsize=8, loc='outside right upper')
    figure.savefig(path, dpi=120)


def _without_common_ends(names: Sequence[str]) -> list[str]:
    """Leave out the words, joined by _, that all names begin or end with."""
    words = [name.split('_') for name in names]
    most = min(map(len, words)) - 1  # leave one
    head = 0
    while head < most and len({w[head] for w in words}) == 1:
        head += 1
    tail = 0
    while tail < most - head and len({w[-tail - 1] for w in words}) == 1:
        tail += 1
    return ['_'.join(w[head : len(w) - tail]) for w in words]


def _panels(
    rows: int, columns: int, size: tuple[float, float]
) -> tuple[Figure, list[Any]]:
    """Return a figure and its axes, row by row."""
    figure = Figure(
        figsize=(size[0] * columns, size[1] * rows), layout='constrained'
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    return figure, axes
