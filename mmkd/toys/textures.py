"""Ground, clutter and object textures of synthetic scenes."""

from __future__ import annotations

import cv2
import numpy as np


def paint_ground(
    rng: np.random.Generator, height: int, width: int
) -> np.ndarray:
    """Mottled ground (H, W, 3), uint8, of a random dull colour."""
    colour = 0.3 * _colour(rng) + 0.7 * rng.uniform(40, 200)
    ground = np.full((height, width, 3), colour, np.float32)
    for cells, strength in ((3, 25), (9, 20), (24, 15)):
        noise = rng.uniform(-strength, strength, size=(cells, cells, 3))
        ground += cv2.resize(
            noise.astype(np.float32), (width, height),
            interpolation=cv2.INTER_LINEAR,
        )  # fmt: skip
    return np.clip(ground, 0, 255).astype(np.uint8)


def paint_clutter(
    rng: np.random.Generator, image: np.ndarray, amount: float = 1.0
) -> None:
    """Paint strokes and irregular patches, which belong to the ground."""
    height, width = image.shape[:2]
    side = min(height, width)
    for _ in range(round(4 * amount)):
        mask = np.zeros((height, width), np.uint8)
        angles = np.sort(rng.uniform(0, 2 * np.pi, size=7))
        radii = rng.uniform(0.04, 0.2, size=7) * side
        centre = rng.uniform(0, 1, size=2) * (width, height)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        patch = np.rint(circle * radii[:, None] + centre).astype(np.int32)
        cv2.fillPoly(mask, [patch], 1)
        paint_texture(rng, image, mask)
    for _ in range(round(10 * amount)):
        start = rng.uniform(0, 1, size=2) * (width, height)
        end = start + rng.uniform(-0.35, 0.35, size=2) * side
        cv2.line(
            image, start.astype(int).tolist(), end.astype(int).tolist(),
            _colour(rng).tolist(), int(rng.integers(1, 4)),
        )  # fmt: skip


def paint_texture(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray
) -> None:
    """Fill the mask (H, W) with a random two-coloured texture, in place."""
    x, y, width, height = cv2.boundingRect(mask)
    first, second = _colour(rng), _colour(rng)
    kind = int(rng.integers(4))
    period = rng.uniform(3.0, 9.0)
    angle = rng.uniform(0, np.pi)
    coarse = rng.uniform(0, 1, size=(5, 5)).astype(np.float32)
    if not width or not height:
        return
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    if kind == 0:  # gradient
        mix = (along - along.min()) / (np.ptp(along) + 1e-6)
    elif kind == 1:  # stripes
        mix = (along % period < period / 2).astype(np.float32)
    elif kind == 2:  # checks
        across = rows * np.cos(angle) - columns * np.sin(angle)
        odd = (along // period + across // period) % 2
        mix = odd.astype(np.float32)
    else:  # marble
        mix = cv2.resize(
            coarse, (width, height), interpolation=cv2.INTER_LINEAR
        )
    paint = first + mix[..., None] * (second - first)
    inside = mask[y : y + height, x : x + width].astype(bool)
    image[y : y + height, x : x + width][inside] = paint[inside]


def _colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(30, 225, size=3).astype(np.float32)
