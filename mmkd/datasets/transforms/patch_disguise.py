"""Patches whose seams and colours give less away."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mmkd.utils.patch_grid import cut


class PatchDisguise:
    """Change every patch of an image on its own; off by default.

    A puzzle can be solved from lines that continue across a seam, or from
    colours alone. These are the customary counter-measures.

    Args:
        gap: every patch loses ``gap`` rows and columns, at a random place of
            the margin, and is resized back; in pixels, 0 or more.
        color_jitter: every channel of a patch is multiplied by a factor
            from [1 - color_jitter, 1 + color_jitter], 0 to 1.
        gray_prob: probability that the whole image loses its colour, 0 to 1.

    Raises:
        ValueError: a value outside its range, or a gap as large as a patch.
    """

    def __init__(
        self,
        gap: int = 0,
        color_jitter: float = 0.0,
        gray_prob: float = 0.0,
    ) -> None:
        ranges = dict(color_jitter=color_jitter, gray_prob=gray_prob)
        for name, value in ranges.items():
            if not 0 <= value <= 1:
                raise ValueError(
                    f'PatchDisguise: {name}={value} must lie from 0 to 1; set '
                    f'e.g. {name}=0.2'
                )
        if gap < 0 or gap != int(gap):
            raise ValueError(
                f'PatchDisguise: gap={gap} must be a number of pixels, 0 or '
                'more; set e.g. gap=4'
            )
        self.gap = int(gap)
        self.color_jitter = color_jitter
        self.gray_prob = gray_prob

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.gap or self.color_jitter or self.gray_prob)

    def __call__(
        self, image: np.ndarray, grid: tuple[int, int], generator: Any
    ) -> np.ndarray:
        """Return a changed copy of the image (H, W) or (H, W, channels).

        Args:
            image: uint8 or float.
            grid: (rows, columns), which divide the image.
            generator: NumPy's, or the module ``numpy.random``.
        """
        result = image.copy()
        if result.ndim == 3 and generator.uniform() < self.gray_prob:
            gray = result.mean(axis=2, keepdims=True)
            result[:] = gray.astype(result.dtype)
        patches = cut(result, grid)
        height, width = patches.shape[1], patches.shape[3]
        if self.gap >= min(height, width):
            raise ValueError(
                f'PatchDisguise: gap={self.gap} leaves nothing of patches of '
                f'{height}x{width} pixels; set a smaller gap'
            )
        for row in range(grid[0]):
            for column in range(grid[1]):
                patch = patches[row, :, column]
                patches[row, :, column] = self._changed(patch, generator)
        return result

    def _changed(self, patch: np.ndarray, generator: Any) -> np.ndarray:
        height, width = patch.shape[:2]
        if self.gap:
            top, left = (generator.uniform(size=2) * (self.gap + 1)).astype(
                int
            )
            inner = patch[
                top : top + height - self.gap, left : left + width - self.gap
            ]
            inner = np.ascontiguousarray(inner)
            patch = cv2.resize(inner, (width, height)).reshape(patch.shape)
        if self.color_jitter:
            low, high = 1 - self.color_jitter, 1 + self.color_jitter
            channels = patch.shape[2] if patch.ndim == 3 else 1
            factors = generator.uniform(low, high, channels)
            changed = patch * (factors if patch.ndim == 3 else factors[0])
            if patch.dtype == np.uint8:
                changed = changed.clip(0, 255)
            patch = changed.astype(patch.dtype)
        return patch
