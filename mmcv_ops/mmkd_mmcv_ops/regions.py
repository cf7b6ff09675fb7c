"""Regions of interest and the grid of points at which they are sampled."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def region_boxes(
    rois: Tensor, spatial_scale: float, aligned: bool
) -> tuple[Tensor, Tensor]:
    """Upper left corners and sizes of regions on the map.

    Args:
        rois: (K, 5): image, x1, y1, x2, y2.
        aligned: pixel centres lie at half numbers; without, regions are
            at least one pixel large.

    Returns:
        (K, 2) and (K, 2), both (y, x).
    """
    shift = 0.5 if aligned else 0.0
    low = rois[:, [2, 1]] * spatial_scale - shift
    size = rois[:, [4, 3]] * spatial_scale - shift - low
    return low, size if aligned else size.clamp(min=1)


def grid_groups(
    size: Tensor, pooled: tuple[int, int], sampling_ratio: int
) -> Iterator[tuple[Tensor, int, int]]:
    """Regions that have equally many points in a bin.

    Yields:
        indices of regions, points per bin along y, along x.
    """
    if sampling_ratio > 0:
        every = torch.arange(len(size), device=size.device)
        yield every, sampling_ratio, sampling_ratio
        return
    grids = (size / size.new_tensor(pooled)).ceil().clamp(min=0).long()
    kinds, kind = grids.unique(dim=0, return_inverse=True)
    for number, (points_y, points_x) in enumerate(kinds.tolist()):
        yield (kind == number).nonzero().flatten(), points_y, points_x


def bin_points(low: Tensor, size: Tensor, bins: int, points: int) -> Tensor:
    """Coordinates along one axis, (K, bins, points).

    Args:
        low, size: (K,), start and extent of the regions.
    """
    bin_size = (size / bins)[:, None, None]
    start = torch.arange(bins, device=low.device)[:, None]
    inner = torch.arange(points, device=low.device) + 0.5
    return low[:, None, None] + start * bin_size + inner * bin_size / points
