"""Jigsaw puzzles of person crops whose key points are the patches."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmkd.datasets.transforms.patch_disguise import PatchDisguise
from mmkd.registry import TRANSFORMS, import_task_module
from mmkd.utils.patch_grid import (
    check_grid,
    check_label_mode,
    check_permutation,
    patch_size,
    rearrange,
    slot_centres,
    true_slots,
)


@TRANSFORMS.register_module()
class JigsawShuffle(BaseTransform):
    """Shuffle the patches of a crop and make their places its key points.

    Slot s of the new image is a copy of patch ``perm[s]``; slots and patches
    are numbered row by row from 0. Key point k is the centre of the slot
    that now holds patch k, ``inv[k]`` with ``inv = argsort(perm)``. Paper:
    https://arxiv.org/abs/2012.07101. It belongs between ``TopdownAffine``
    and ``GenerateTarget``; flips, rotations and scalings come before.

    Args:
        grid_size: (rows R, columns C); K = R * C patches.
        label_mode: 'patch_location' as above; 'patch_origin' is the inverse
            reading: key point s is the centre of the slot where the patch
            that is now in slot s was before.
        deterministic: draw from (seed, id of the sample), for validation:
            the same puzzle in every epoch, process and batch. Otherwise
            NumPy's global generator is used, which data workers seed.
        permutation: (K,), one permutation for all samples; None draws
            uniformly from all K!.
        seed: of the deterministic mode.
        gap, color_jitter, gray_prob: of `PatchDisguise`, against shortcuts
            by seams and colours; default: exact copies of the patches.

    Required keys: img (H, W) or (H, W, channels), uint8 or float; in
    deterministic mode id, sample_idx or img_id.
    Modified keys: img, transformed_keypoints (1, K, 2) float32 in pixels,
    keypoints_visible (1, K) ones. Added key: jigsaw_permutation (K,) int64.

    Raises:
        ValueError: unknown mode, no grid, not a permutation, a crop that is
            smaller than the grid or not divisible by it, a crop that is
            shuffled already or has targets already.
        TypeError: the image is no array of uint8 or float.
        KeyError: deterministic mode without an id.
    """

    def __init__(
        self,
        grid_size: Sequence[int] = (4, 3),
        label_mode: str = 'patch_location',
        deterministic: bool = False,
        permutation: Sequence[int] | np.ndarray | None = None,
        seed: int = 0,
        gap: int = 0,
        color_jitter: float = 0.0,
        gray_prob: float = 0.0,
    ) -> None:
        self.grid = check_grid('JigsawShuffle', grid_size)
        check_label_mode('JigsawShuffle', label_mode)
        self.label_mode = label_mode
        self.deterministic = deterministic
        self.num_patches = self.grid[0] * self.grid[1]
        self.permutation: np.ndarray | None = None
        if permutation is not None:
            self.permutation = check_permutation(
                'JigsawShuffle', permutation, self.num_patches
            )
        self.seed = seed
        self.disguise = PatchDisguise(gap, color_jitter, gray_prob)
        if 'mmpose' in sys.modules:
            # GenerateTarget, the next step, looks the codec up in mmpose.
            import_task_module('JigsawHeatmap')

    def transform(self, results: dict) -> dict:
        """Shuffle ``img`` and replace the key points."""
        image = _checked_image(results)
        height, width = image.shape[:2]
        patch = patch_size('JigsawShuffle', (width, height), self.grid)
        generator = self._generator(results)
        order = self.permutation
        if order is None:
            order = generator.permutation(self.num_patches).astype(np.int64)
        if self.disguise.active:
            image = self.disguise(image, self.grid, generator)
        results['img'] = rearrange(image, order, self.grid)
        places = true_slots(order, self.label_mode)
        centres = slot_centres(self.grid, patch)[places]
        results['transformed_keypoints'] = centres[None]
        results['keypoints_visible'] = np.ones(
            (1, self.num_patches), np.float32
        )
        results['jigsaw_permutation'] = order.copy()
        return results

    def _generator(self, results: dict) -> Any:
        """NumPy's global generator, or one of this sample's own."""
        if not self.deterministic:
            return np.random
        for key in ('id', 'sample_idx', 'img_id'):
            if key in results:
                return np.random.default_rng(
                    [self.seed, _number(results[key])]
                )
        raise KeyError(
            'JigsawShuffle: deterministic=True needs an entry id, sample_idx '
            f'or img_id in the sample, there is only {sorted(results)}; set '
            'deterministic=False or permutation'
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(grid_size={self.grid}, '
            f'label_mode={self.label_mode!r}, '
            f'deterministic={self.deterministic})'
        )


def _checked_image(results: dict) -> np.ndarray:
    for key, what in (
        ('jigsaw_permutation', 'is shuffled already'),
        ('heatmaps', 'has targets already'),
    ):
        if key in results:
            raise ValueError(
                f'JigsawShuffle: the crop {what} (entry {key!r}); use it '
                'once, before GenerateTarget'
            )
    image = results['img']
    if (
        not isinstance(image, np.ndarray)
        or image.ndim not in (2, 3)
        or not (image.dtype == np.uint8 or image.dtype.kind == 'f')
    ):
        kind = type(image).__name__
        if isinstance(image, np.ndarray):
            kind = f'an array {image.shape} of {image.dtype}'
        raise TypeError(
            f'JigsawShuffle: img is {kind}; expected one image (H, W) or '
            '(H, W, channels) of uint8 or float, as TopdownAffine gives it'
        )
    return image


def _number(identity: Any) -> int:
    if isinstance(identity, int | np.integer) and identity >= 0:
        return int(identity)
    return zlib.crc32(str(identity).encode())
