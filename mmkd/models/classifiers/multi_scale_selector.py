"""Windows of several sizes, chosen together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmkd.models.classifiers.activation import standardize
from mmkd.models.classifiers.greedy import (
    Overlaps,
    check_choice,
    select_greedily,
)
from mmkd.models.classifiers.patch_geometry import grid_boxes, resize_windows
from mmkd.models.classifiers.patch_selector import check_maps
from mmkd.registry import MODELS


@MODELS.register_module()
class MultiScalePatchSelector(nn.Module):
    """Choose K windows of every image from maps of several scales.

    The windows of all scales stand in one ranking, by their activation in
    standard deviations from their map's mean, and the rule of
    `PatchSelector` (without its exception for the upper left cell) runs
    through it. Paper of the patches: Localizing Multi-scale Semantic
    Patches for Image Classification, arXiv 2002.03737; that ranking is our
    choice, for the paper's could not be read.

    Args:
        patch_sizes: side of the windows of each map, in pixels.
        strides: distance of neighbouring windows of each map, in pixels.
        num_patches: K.
        iou_thresholds: as in `PatchSelector`.
        output_size: side that `crop` scales the windows to; None is the
            largest of ``patch_sizes``.
        check_finite: as in `PatchSelector`.

    Shape:
        maps: one (N, gh, gw) for each scale.
        returns: boxes (N, K, 4), int64, y1, x1, y2, x2, the last two inside
            the window; valid (N, K), bool.

    Raises:
        ValueError: thresholds, patches or maps that do not fit.
    """

    def __init__(
        self,
        patch_sizes: Sequence[int],
        strides: Sequence[int],
        num_patches: int = 4,
        iou_thresholds: float | Sequence[float] = 0.3,
        output_size: int | None = None,
        check_finite: bool | None = None,
    ) -> None:
        super().__init__()
        self.iou_thresholds = check_choice(
            'MultiScalePatchSelector', num_patches, iou_thresholds
        )
        if len(patch_sizes) != len(strides) or not patch_sizes:
            raise ValueError(
                f'MultiScalePatchSelector: patch_sizes={list(patch_sizes)} '
                f'and strides={list(strides)} must have one entry for each '
                'map of the backbone'
            )
        self.patch_sizes, self.strides = tuple(patch_sizes), tuple(strides)
        self.num_patches = num_patches
        self.patch_size = output_size or max(patch_sizes)
        self.check_finite = check_finite

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the chosen windows of each image."""
        if isinstance(maps, Tensor) or len(maps) != len(self.patch_sizes):
            raise ValueError(
                'MultiScalePatchSelector: give a list of '
                f'{len(self.patch_sizes)} maps, one for each of patch_sizes='
                f'{list(self.patch_sizes)}; a backbone gives as many as it '
                'has out_indices'
            )
        for scale in maps:
            check_maps(scale, self.check_finite)
        scores = standardize(maps)
        if self.num_patches > scores.shape[1]:
            raise ValueError(
                f'MultiScalePatchSelector: num_patches={self.num_patches}, '
                f'but the maps have {scores.shape[1]} windows; lower '
                '`num_patches` or enlarge the images'
            )
        candidates = torch.cat(
            [
                grid_boxes(scale.shape[1:], size, stride, scale.device)
                for scale, size, stride in zip(
                    maps, self.patch_sizes, self.strides, strict=True
                )
            ]
        )
        index, valid = select_greedily(
            scores.detach(), Overlaps(candidates), self.iou_thresholds
        )
        return candidates[index], valid

    def crop(
        self, images: Tensor, boxes: Tensor, rows: Tensor | None = None
    ) -> Tensor:
        """Return the windows, all scaled to one size, image by image.

        Shape:
            images: (N, C, H, W).
            boxes: (N, K, 4); K may be any number.
            rows: (N',), which images the boxes (N', K, 4) are of.
            returns: (N * K, C, output_size, output_size).
        """
        images = images if rows is None else images[rows]
        return resize_windows(images, boxes, self.patch_size)
