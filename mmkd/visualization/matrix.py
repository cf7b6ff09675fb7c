"""A matrix of numbers as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_matrix(
    matrix: np.ndarray,
    names: Sequence[str],
    path: str | Path,
    title: str | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a square matrix with its numbers into a PNG file.

    Args:
        matrix: (M, M).
        names: of rows and columns.
        path: file to write.
        title: line above.
        limits: values of the lightest and the darkest colour; default:
            the smallest value off the diagonal (or 0, if that is greater
            than 0.95 of the largest) and the largest.

    Raises:
        ValueError: the matrix is not (M, M) for M names.
    """
    count = len(names)
    if count == 0 or matrix.shape != (count, count):
        raise ValueError(
            f'plot_matrix: {count} names for a matrix {matrix.shape}; give '
            'one name per row and column'
        )
    lowest, highest = limits or _limits(matrix)
    side = 1.4 + 0.8 * count
    figure = Figure(figsize=(side + 1.0, side), layout='constrained')
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    image = axis.imshow(matrix, cmap='Blues', vmin=lowest, vmax=highest)
    axis.set_xticks(range(count), names, rotation=30, ha='right')
    axis.set_yticks(range(count), names)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    middle = (lowest + highest) / 2
    for i in range(count):
        for j in range(count):
            axis.text(
                j,
                i,
                f'{matrix[i, j]:.2f}',
                ha='center',
                va='center',
                color='white' if matrix[i, j] > middle else 'black',
            )
    if title:
        axis.set_title(title, fontsize=11, loc='left')
    figure.colorbar(image, ax=axis, shrink=0.8)
    figure.savefig(path, dpi=130)


def _limits(matrix: np.ndarray) -> tuple[float, float]:
    highest = float(matrix.max())
    others = matrix[~np.eye(len(matrix), dtype=bool)]
    lowest = float(others.min()) if len(others) else 0.0
    return (lowest if lowest < 0.95 * highest else 0.0), highest
