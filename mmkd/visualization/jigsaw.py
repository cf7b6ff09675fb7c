"""Puzzles: where the patches are, where the network thinks they are."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np

from mmkd.utils.patch_grid import patch_size, rearrange

RIGHT, WRONG = (60, 220, 90), (250, 70, 60)  # red-green-blue


def enlarged(image: np.ndarray, height: int = 384) -> np.ndarray:
    """Repeat the pixels of (H, W, ...) until it is ``height`` tall or more."""
    factor = max(1, -(-height // image.shape[0]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def draw_slots(
    image: np.ndarray,
    found: np.ndarray,
    permutation: np.ndarray,
    grid: tuple[int, int],
) -> np.ndarray:
    """Write into every slot of a shuffled crop which patch it holds.

    At the top the patch that is there; below the patches that the network
    sees there: green if it is the one, red if not, nothing if none.

    Shape:
        image: (H, W, 3), uint8.
        found: (K,), the slot that the network gives each patch.
        permutation: (K,), the patch in each slot.
        returns: (fH, fW, 3), uint8, enlarged by a whole factor f.
    """
    canvas = np.ascontiguousarray(enlarged(image))
    height, width = _patch(canvas, grid)
    size = min(height, width) / 90
    for slot, patch in enumerate(np.asarray(permutation).tolist()):
        top = slot // grid[1] * height
        left = slot % grid[1] * width
        corner = (left + width - 1, top + height - 1)
        cv2.rectangle(canvas, (left, top), corner, (255, 255, 255), 1)
        _write(canvas, str(patch), (left, top + int(30 * size)), size)
        seen = np.flatnonzero(np.asarray(found) == slot).tolist()
        for index, guess in enumerate(seen[:2]):
            place = (left, top + int((58 + 26 * index) * size))
            colour = RIGHT if guess == patch else WRONG
            _write(canvas, str(guess), place, size, colour)
    return canvas


def reassemble(
    image: np.ndarray, found: np.ndarray, grid: tuple[int, int]
) -> np.ndarray:
    """Put the content of slot ``found[k]`` at the place of patch k.

    With the right slots this is the crop before it was shuffled; a slot may
    appear several times.
    """
    _patch(image, grid)
    return rearrange(image, found, grid)


def draw_heatmaps(
    heatmaps: np.ndarray, grid: tuple[int, int], image: np.ndarray
) -> np.ndarray:
    """Mark the maximum over all patches on a shuffled crop.

    Patches have different hues, the strength is that of the map.

    Shape:
        heatmaps: (K, h, w), about 0 to 1.
        image: (H, W, 3), uint8.
        returns: as ``image``.
    """
    count = grid[0] * grid[1]
    hues = matplotlib.colormaps['hsv'](np.linspace(0, 1, count + 1)[:-1])
    height, width = image.shape[:2]
    owner = heatmaps.argmax(0).astype(np.uint8)
    strength = heatmaps.max(0).clip(0, 1).astype(np.float32)
    size = (width, height)
    owner = cv2.resize(owner, size, interpolation=cv2.INTER_NEAREST)
    strength = cv2.resize(strength, size)[..., None]
    colours = hues[owner][..., :3] * 255
    dark = image.astype(np.float32) * 0.6
    mixed = dark * (1 - strength) + colours * strength
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def draw_pose(
    image: np.ndarray,
    points: np.ndarray,
    links: Sequence[Sequence[int]],
    visible: np.ndarray | None = None,
) -> np.ndarray:
    """Draw joints and limbs into an enlarged copy of a crop.

    Args:
        image: (H, W, 3), uint8, red-green-blue.
        points: (J, 2), x and y in pixels of ``image``.
        links: pairs of joints; each limb has a hue of its own.
        visible: (J,), joints to draw; default: all.
    """
    canvas = np.ascontiguousarray(enlarged(image))
    factor = canvas.shape[0] / image.shape[0]
    places = np.rint((np.asarray(points) + 0.5) * factor).astype(int).tolist()
    shown = np.ones(len(places), bool) if visible is None else visible > 0
    hues = matplotlib.colormaps['hsv'](np.linspace(0, 1, len(links) + 1)[:-1])
    for (start, end), hue in zip(links, hues, strict=True):
        if shown[start] and shown[end]:
            colour = tuple((hue[:3] * 255).tolist())
            cv2.line(
                canvas, places[start], places[end], colour, 3, cv2.LINE_AA
            )
    for place, draw in zip(places, shown, strict=True):
        if draw:
            cv2.circle(canvas, place, 4, (255, 255, 255), -1, cv2.LINE_AA)
    return canvas


def _patch(image: np.ndarray, grid: tuple[int, int]) -> tuple[int, int]:
    return patch_size('visualization', image.shape[1::-1], grid)


def _write(
    canvas: np.ndarray,
    text: str,
    place: tuple[int, int],
    size: float,
    colour: tuple[int, int, int] = (255, 255, 255),
) -> None:
    for width, ink in ((4, (0, 0, 0)), (2, colour)):
        cv2.putText(
            canvas,
            text,
            (place[0] + 5, place[1]),
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            ink,
            width,
            cv2.LINE_AA,
        )
