"""From activation maps to the windows of an image that are looked at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmkd.models.classifiers.greedy import (
    Overlaps,
    check_choice,
    select_greedily,
)
from mmkd.models.classifiers.patch_geometry import crop_windows, grid_boxes
from mmkd.registry import MODELS


@MODELS.register_module()
class PatchSelector(nn.Module):
    """Choose K windows of every image by an activation map.

    Cells are visited in descending activation; one is accepted if it
    overlaps every accepted window by at most a threshold. Where fewer than
    K windows fit, the best cells that are left fill the places and are
    marked invalid. Paper: Localizing Semantic Patches for Accelerating
    Image Classification, arXiv 2206.03367.

    Args:
        num_patches: K.
        iou_thresholds: largest allowed overlap (intersection over union,
            of extents P - 1), one number for all, or one for each patch
            after the first; further entries are not used.
        accept_top_left: accept the upper left cell whenever it is visited,
            as the authors' program does by mistake; their weights and
            numbers come from it. False is the intended rule.
        patch_size: side P of the windows in pixels, that of the backbone.
        stride: distance of neighbouring windows in pixels.
        check_finite: refuse maps with NaN or infinite values. None checks
            on the CPU alone: on a GPU the check waits for the device.

    Shape:
        maps: (N, gh, gw), of any float dtype.
        returns: boxes (N, K, 4), int64, y1, x1, y2, x2, the last two inside
            the window; valid (N, K), bool.

    Raises:
        ValueError: thresholds, patches or maps that do not fit.
    """

    def __init__(
        self,
        num_patches: int = 4,
        iou_thresholds: float | Sequence[float] = 0.3,
        accept_top_left: bool = True,
        patch_size: int = 95,
        stride: int = 8,
        check_finite: bool | None = None,
    ) -> None:
        super().__init__()
        self.iou_thresholds = check_choice(
            'PatchSelector', num_patches, iou_thresholds
        )
        if patch_size < 2 or stride < 1:
            raise ValueError(
                f'PatchSelector: patch_size={patch_size}, stride={stride}: '
                'set them to those of the backbone (95 and 8)'
            )
        self.num_patches = num_patches
        self.accept_top_left = accept_top_left
        self.patch_size = patch_size
        self.stride = stride
        self.check_finite = check_finite
        self._kept: tuple[tuple[int, int, torch.device], Overlaps] | None
        self._kept = None

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the chosen windows of each map."""
        check_maps(maps, self.check_finite)
        rows, columns = maps.shape[1:]
        if self.num_patches > rows * columns:
            raise ValueError(
                f'PatchSelector: num_patches={self.num_patches}, but maps of '
                f'{rows}x{columns} have {rows * columns} windows; lower '
                '`num_patches` or enlarge the images'
            )
        overlaps = self._overlaps(rows, columns, maps.device)
        index, valid = select_greedily(
            maps.detach().flatten(1),
            overlaps,
            self.iou_thresholds,
            0 if self.accept_top_left else None,
        )
        return overlaps.candidates[index], valid

    def _overlaps(
        self, rows: int, columns: int, device: torch.device
    ) -> Overlaps:
        """Return the windows of a grid; those of the last one are kept."""
        key = rows, columns, device
        if self._kept is None or self._kept[0] != key:
            boxes = grid_boxes(key[:2], self.patch_size, self.stride, device)
            self._kept = key, Overlaps(boxes)
        return self._kept[1]

    def crop(
        self, images: Tensor, boxes: Tensor, rows: Tensor | None = None
    ) -> Tensor:
        """Return the windows, as they are, image by image.

        Shape:
            images: (N, C, H, W).
            boxes: (N, K, 4); K may be any number.
            rows: (N',), which images the boxes (N', K, 4) are of.
            returns: (N * K, C, P, P).
        """
        return crop_windows(images, boxes, self.patch_size, rows)

    def extra_repr(self) -> str:
        return (
            f'num_patches={self.num_patches}, patch_size={self.patch_size}, '
            f'stride={self.stride}, iou_thresholds={self.iou_thresholds}, '
            f'accept_top_left={self.accept_top_left}'
        )


def check_maps(maps: Tensor, check_finite: bool | None = None) -> None:
    """Refuse what is no batch of finite maps.

    Raises:
        ValueError: not (N, gh, gw), or not finite.
    """
    if maps.ndim != 3:
        raise ValueError(
            f'PatchSelector: maps {tuple(maps.shape)} are not (N, gh, gw); '
            'give one activation map for each image'
        )
    if check_finite is None:
        check_finite = maps.device.type == 'cpu'
    if check_finite and not torch.isfinite(maps).all():
        bad = (~torch.isfinite(maps)).flatten(1).any(1).nonzero().flatten()
        raise ValueError(
            f'PatchSelector: the maps of images {bad.tolist()} of the batch '
            'are not finite, so nothing can be ranked: look for NaN in the '
            'weights or the inputs of the proposal network'
        )
