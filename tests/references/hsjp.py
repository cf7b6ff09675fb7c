"""Heat-map jigsaw puzzles, formula by formula: the yardstick of tests.

Everything is a loop over pixels, patches and slots.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np

Grid = tuple[int, int]


def inverse(permutation: Sequence[int]) -> list[int]:
    """inv[k]: the slot s with perm[s] = k."""
    return [list(permutation).index(k) for k in range(len(permutation))]


def shuffle(
    image: np.ndarray, permutation: Sequence[int], grid: Grid
) -> np.ndarray:
    """Slot s gets patch perm[s], pixel by pixel, of an image (H, W, C)."""
    rows, columns = grid
    height, width = image.shape[0] // rows, image.shape[1] // columns
    result = np.zeros_like(image)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            slot = (y // height) * columns + x // width
            patch = permutation[slot]
            from_y = (patch // columns) * height + y % height
            from_x = (patch % columns) * width + x % width
            result[y, x] = image[from_y, from_x]
    return result


def centres(
    permutation: Sequence[int],
    grid: Grid,
    size: tuple[int, int],
    label_mode: str = 'patch_location',
) -> list[tuple[float, float]]:
    """(x, y) of every key point, in pixels of an input (width, height)."""
    rows, columns = grid
    width, height = size[0] / columns, size[1] / rows
    places = inverse(permutation)
    if label_mode == 'patch_origin':
        places = list(permutation)
    return [
        (
            (slot % columns) * width + (width - 1) / 2,
            (slot // columns) * height + (height - 1) / 2,
        )
        for slot in places
    ]


def heatmap(
    x: float, y: float, size: tuple[int, int], stride: float, sigma: float
) -> np.ndarray:
    """Gaussian of height 1 at (x, y), cut at 3 sigma; (height, width)."""
    width, height = size
    peak_x = math.floor(x / stride + 0.5)
    peak_y = math.floor(y / stride + 0.5)
    result = np.zeros((height, width))
    for v in range(height):
        for u in range(width):
            dx, dy = u - peak_x, v - peak_y
            if max(abs(dx), abs(dy)) <= 3 * sigma:
                result[v, u] = math.exp(-(dx**2 + dy**2) / (2 * sigma**2))
    return result


def zero_prediction_loss(sigma: int, size: tuple[int, int]) -> float:
    """S^2 / (h w), S = sum_i exp(-i^2 / sigma^2), nothing cut."""
    window = range(-3 * sigma, 3 * sigma + 1)
    total = sum(math.exp(-(i**2) / sigma**2) for i in window)
    return total**2 / (size[0] * size[1])


def slots(heatmaps: np.ndarray, grid: Grid) -> list[int]:
    """Slot of the first maximum of every map of (K, h, w)."""
    rows, columns = grid
    _, height, width = heatmaps.shape
    found = []
    for one in heatmaps:
        best, place = -math.inf, (0, 0)
        for v in range(height):
            for u in range(width):
                if one[v, u] > best:
                    best, place = one[v, u], (v, u)
        row = place[0] // (height // rows)
        column = place[1] // (width // columns)
        found.append(row * columns + column)
    return found


def best_assignment(heatmaps: np.ndarray, grid: Grid) -> list[int]:
    """Of all permutations, the one with the largest sum of slot maxima."""
    rows, columns = grid
    height, width = heatmaps.shape[1] // rows, heatmaps.shape[2] // columns

    def score(one: np.ndarray, slot: int) -> float:
        top = (slot // columns) * height
        left = (slot % columns) * width
        return float(one[top : top + height, left : left + width].max())

    def total(order: Iterable[int]) -> float:
        return sum(score(heatmaps[k], s) for k, s in enumerate(order))

    return list(max(permutations(range(rows * columns)), key=total))
