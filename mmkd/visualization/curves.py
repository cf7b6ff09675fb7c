"""Curves of several runs in one figure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Series = tuple[Sequence[float], Sequence[float]]
# Told apart by readers with any colour vision, and by lightness in print.
COLOURS = ('#444444', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00')


def plot_curves(
    panels: Mapping[str, Mapping[str, Series]],
    path: str | Path,
    x_label: str = 'iteration',
    from_zero: bool = True,
    dashed: Collection[str] = (),
) -> None:
    """Draw one panel per entry, with one curve per run, into a PNG file.

    A run has the same colour in all panels.

    Args:
        panels: title -> name of the run -> (x values, y values).
        path: file to write.
        x_label: label of the horizontal axes.
        from_zero: let the vertical axes begin at 0.
        dashed: names of runs whose lines let others be seen below them.

    Raises:
        ValueError: there is nothing to draw, or x and y differ in length.
    """
    names = list(dict.fromkeys(n for runs in panels.values() for n in runs))
    if not names:
        raise ValueError(
            'plot_curves: panels is empty; give at least one run to draw'
        )
    figure = Figure(figsize=(5.6 * len(panels), 3.8), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, runs) in zip(axes, panels.items(), strict=True):
        for name, (x, y) in runs.items():
            if len(x) != len(y):
                raise ValueError(
                    f'plot_curves: run {name!r} of panel {title!r} has '
                    f'{len(x)} x values and {len(y)} y values; give as many'
                )
            index = names.index(name)
            axis.plot(
                x,
                y,
                label=name,
                color=COLOURS[index % len(COLOURS)],
                linestyle='--' if name in dashed else '-',
                marker='o' if len(x) < 30 else None,
                markersize=4,
                linewidth=1.8,
            )
        axis.set_title(title, fontsize=11, loc='left')
        axis.set_xlabel(x_label)
        axis.set_xlim(left=0)
        if from_zero:
            axis.set_ylim(bottom=0)
        axis.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
        axis.grid(alpha=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    # One legend for all: where most curves are, the first of such panels.
    fullest = max(axes, key=lambda axis: len(axis.get_lines()))
    fullest.legend(frameon=False)
    figure.savefig(path, dpi=120)
