"""Bars: one number per class, for several networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmkd.visualization.curves import COLOURS


def plot_class_bars(
    values: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    path: str | Path,
    label: str,
) -> None:
    """Draw a group of bars per class, a bar per network, into a PNG file.

    Args:
        values: network -> a value per class, nan for none (no bar).
        classes: names, from left to right.
        path: file to write.
        label: of the axis of values.

    Raises:
        ValueError: a network has not one value per class.
    """
    counts = {name: len(row) for name, row in values.items()}
    if set(counts.values()) != {len(classes)} or not classes:
        raise ValueError(
            f'plot_class_bars: values per network {counts}, but there are '
            f'{len(classes)} classes; give one value for each'
        )
    width = 0.8 / len(values)
    figure = Figure(
        figsize=(1.5 + len(classes) * (0.3 + 0.16 * len(values)), 3.4),
        layout='constrained',
    )
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for k, (name, row) in enumerate(values.items()):
        places = [c - 0.4 + (k + 0.5) * width for c in range(len(classes))]
        colour = COLOURS[k % len(COLOURS)]
        axis.bar(places, row, width, color=colour, label=name)
    axis.set_xticks(range(len(classes)), list(classes), rotation=40,
                    ha='right')  # fmt: skip
    axis.set_ylabel(label)
    axis.set_xlim(-0.6, len(classes) - 0.4)
    axis.grid(axis='y', alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside upper center', ncols=len(values), frameon=False)
    figure.savefig(path, dpi=120)
