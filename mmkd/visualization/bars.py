"""Bars: one number per method."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmkd.visualization.curves import COLOURS


def plot_bars(
    values: Mapping[str, Sequence[float]],
    path: str | Path,
    label: str,
    baseline: str | None = None,
) -> None:
    """Draw the mean of every method, and its seeds, into a PNG file.

    The axis shows differences, so it does not begin at 0: dots are single
    seeds, the bar ends at their mean, the line is the baseline's mean.

    Args:
        values: method -> one value per seed, drawn from top to bottom.
        path: file to write.
        label: of the axis of values.
        baseline: the method that the line stands for.

    Raises:
        ValueError: a method has no values.
        KeyError: there is no such baseline.
    """
    if not values or not all(values.values()):
        raise ValueError(
            'plot_bars: give at least one method, and a value for each; got '
            f'{ {name: len(seeds) for name, seeds in values.items()} }'
        )
    if baseline is not None and baseline not in values:
        raise KeyError(
            f'plot_bars: baseline="{baseline}" is none of {", ".join(values)}'
        )
    means = [statistics.mean(seeds) for seeds in values.values()]
    every = [value for seeds in values.values() for value in seeds]
    margin = 0.15 * (max(every) - min(every)) or 1.0
    figure = Figure(figsize=(7.0, 1.0 + 0.36 * len(values)),
                    layout='constrained')  # fmt: skip
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    rows = range(len(values))
    axis.barh(rows, means, color=COLOURS[1], alpha=0.55, height=0.7)
    for row, (seeds, mean) in enumerate(
        zip(values.values(), means, strict=True)
    ):
        axis.plot(seeds, [row] * len(seeds), 'o', color=COLOURS[0], ms=4)
        axis.annotate(
            f'{mean:.2f}',
            (max(*seeds, mean), row),
            xytext=(7, 0),
            textcoords='offset points',
            va='center',
            fontsize=9,
        )
    if baseline is not None:
        line = means[list(values).index(baseline)]
        axis.axvline(line, color=COLOURS[2], linewidth=1.4)
    axis.set_yticks(list(rows), list(values))
    axis.invert_yaxis()
    axis.set_xlim(min(every) - margin, max(every) + 2 * margin)
    axis.set_xlabel(label)
    axis.grid(axis='x', alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
