"""Heat maps of puzzle patches, and back to the slots they point at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from mmpose.codecs import MSRAHeatmap
from mmpose.registry import KEYPOINT_CODECS
from scipy.optimize import linear_sum_assignment

from mmkd.registry import TASK_UTILS
from mmkd.utils.patch_grid import check_grid, patch_size

ASSIGNMENTS = ('argmax', 'hungarian')
Array = TypeVar('Array', np.ndarray, torch.Tensor)


@TASK_UTILS.register_module()
@KEYPOINT_CODECS.register_module()
class JigsawHeatmap(MSRAHeatmap):
    """mmpose's ``MSRAHeatmap`` for puzzles: one heat map per patch.

    The targets are those of ``MSRAHeatmap``: Gaussians of height 1, cut at
    3 sigma, centred on the nearest pixel. They are made faster, from one
    Gaussian. Patches are numbered row by row from 0.

    mmpose knows the codec as ``'JigsawHeatmap'``, without a prefix, once
    this module is imported; `JigsawShuffle` and the head do so.

    Args:
        input_size: (width, height) of the crop in pixels.
        heatmap_size: (width, height) of the heat maps.
        sigma: of the Gaussians, in heat-map pixels.
        grid_size: (rows R, columns C); K = R * C patches.
        assignment: 'argmax' takes the slot of each map's maximum;
            'hungarian' the permutation with the largest sum over k of
            map k's maximum inside its slot.
        **kwargs: ``unbiased`` and ``blur_kernel_size`` of ``MSRAHeatmap``.

    Raises:
        ValueError: no grid, sizes that are smaller than the grid or not
            divisible by it, or an unknown assignment.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float,
        grid_size: Sequence[int] = (4, 3),
        assignment: str = 'argmax',
        **kwargs: Any,
    ) -> None:
        self.grid = check_grid('JigsawHeatmap', grid_size)
        patch_size('JigsawHeatmap', input_size, self.grid)
        patch_size('JigsawHeatmap', heatmap_size, self.grid, 'heat-map size')
        if assignment not in ASSIGNMENTS:
            raise ValueError(
                f'JigsawHeatmap: assignment={assignment!r} is unknown; set '
                f'it to one of {ASSIGNMENTS}'
            )
        super().__init__(input_size, heatmap_size, sigma, **kwargs)
        self.assignment = assignment
        self.num_patches = self.grid[0] * self.grid[1]
        self._gaussian: np.ndarray | None = None
        if not self.unbiased and float(3 * sigma).is_integer():
            window = np.arange(-int(3 * sigma), int(3 * sigma) + 1) ** 2
            squares = (window[:, None] + window).astype(np.float32)
            self._gaussian = np.exp(-squares / (2 * sigma**2))

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Return ``heatmaps`` (K, h, w) and ``keypoint_weights`` (1, K).

        Args:
            keypoints: centres (1, K, 2) of the patches in the crop.
            keypoints_visible: (1, K).

        Raises:
            ValueError: not K centres, or one outside the crop.
        """
        expected = (1, self.num_patches, 2)
        if np.shape(keypoints) != expected:
            raise ValueError(
                f'JigsawHeatmap: key points {np.shape(keypoints)} do not fit '
                f'grid {self.grid}, expected {expected}; put '
                f'mmkd.JigsawShuffle with grid_size={self.grid} before '
                'GenerateTarget'
            )
        points = np.asarray(keypoints[0])
        inside = (points >= 0) & (points < np.array(self.input_size))
        if not inside.all():
            k = int(np.argmin(inside.all(axis=1)))
            raise ValueError(
                f'JigsawHeatmap: patch {k} at {points[k].tolist()} '
                f'lies outside the input {tuple(self.input_size)}; set the '
                'same input_size in TopdownAffine and the codec, and move '
                'nothing after mmkd.JigsawShuffle'
            )
        if self._gaussian is None:
            return super().encode(keypoints, keypoints_visible)
        if keypoints_visible is None:
            keypoints_visible = np.ones((1, self.num_patches), np.float32)
        maps = self._stamped(self._gaussian, points, keypoints_visible[0])
        return dict(heatmaps=maps, keypoint_weights=keypoints_visible.copy())

    def _stamped(
        self, gaussian: np.ndarray, points: np.ndarray, visible: np.ndarray
    ) -> np.ndarray:
        """Copies of the Gaussian at points (K, 2), those that are visible."""
        width, height = self.heatmap_size
        maps = np.zeros((self.num_patches, height, width), np.float32)
        radius = len(gaussian) // 2
        corners = (points / self.scale_factor + 0.5).astype(np.int64) - radius
        for k, (left, top) in enumerate(corners.tolist()):
            if visible[k] < 0.5:
                continue
            target = maps[
                k,
                max(top, 0) : top + len(gaussian),
                max(left, 0) : left + len(gaussian),
            ]
            y, x = max(-top, 0), max(-left, 0)
            target[:] = gaussian[
                y : y + target.shape[0], x : x + target.shape[1]
            ]
        return maps

    def decode_slots(self, heatmaps: Array) -> Array:
        """Return the slot that each heat map points at.

        Shape:
            heatmaps: (K, h, w) or (B, K, h, w), array or tensor.
            returns: (K,) or (B, K), int64, of the same kind and device.

        Raises:
            ValueError: other shapes than K maps of ``heatmap_size``.
        """
        width, height = self.heatmap_size
        expected = (self.num_patches, height, width)
        maps = torch.as_tensor(heatmaps)
        if maps.ndim not in (3, 4) or tuple(maps.shape[-3:]) != expected:
            raise ValueError(
                f'JigsawHeatmap: heat maps {tuple(maps.shape)} do not fit '
                f'grid {self.grid} and heatmap_size {(width, height)}, '
                f'expected {expected} or (B, *{expected}); set out_channels='
                f'{self.num_patches} of the head and the sizes alike'
            )
        if self.assignment == 'hungarian':
            slots = _best_permutations(self._slot_scores(maps))
        else:
            slots = self._slots_of_maxima(maps)
        return slots.numpy() if isinstance(heatmaps, np.ndarray) else slots

    def _slots_of_maxima(self, maps: torch.Tensor) -> torch.Tensor:
        rows, columns = self.grid
        width, height = self.heatmap_size
        place = maps.flatten(-2).argmax(-1)
        row = torch.div(place, width, rounding_mode='floor')
        slot_row = torch.div(row, height // rows, rounding_mode='floor')
        slot_column = torch.div(
            place % width, width // columns, rounding_mode='floor'
        )
        return slot_row * columns + slot_column

    def _slot_scores(self, maps: torch.Tensor) -> torch.Tensor:
        """Maximum of each map inside each slot, (..., K, K)."""
        rows, columns = self.grid
        width, height = self.heatmap_size
        cut = maps.reshape(
            *maps.shape[:-2], rows, height // rows, columns, width // columns
        )
        return cut.amax(dim=(-3, -1)).flatten(-2)


def _best_permutations(scores: torch.Tensor) -> torch.Tensor:
    """Permutations (..., K) with the largest sum of scores (..., K, K)."""
    tables = scores.detach().float().cpu().numpy()
    found = [
        linear_sum_assignment(table, maximize=True)[1]
        for table in tables.reshape(-1, *tables.shape[-2:])
    ]
    slots = torch.as_tensor(np.stack(found), dtype=torch.int64)
    return slots.reshape(scores.shape[:-1]).to(scores.device)
