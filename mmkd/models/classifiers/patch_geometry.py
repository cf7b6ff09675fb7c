"""Windows of images: corners, overlaps, crops. Pure tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mmkd.models.views.rotation_views import like_layout


def grid_boxes(
    grid: Sequence[int],
    patch_size: int,
    stride: int,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the windows of all cells of a map, row by row.

    Args:
        grid: rows and columns of the map.
        patch_size: side of the windows in pixels.
        stride: distance of neighbouring windows in pixels.
        device: where the result is.

    Shape:
        returns: (rows * columns, 4), int64: y1, x1, y2, x2, the last two
            inside the window.
    """
    rows = torch.arange(grid[0], device=device) * stride
    columns = torch.arange(grid[1], device=device) * stride
    corners = torch.cartesian_prod(rows, columns).view(-1, 2)
    return torch.cat([corners, corners + patch_size - 1], dim=1)


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the overlap of boxes, as AnchorNet's authors count it.

    The extents are ``y2 - y1`` and ``x2 - x1``, although y2 and x2 lie
    inside the boxes.

    Shape:
        first, second: (..., 4), y1, x1, y2, x2, of shapes that broadcast.
        returns: (...), float64, intersection over union.
    """
    top, left, bottom, right = first.double().unbind(-1)
    up, west, down, east = second.double().unbind(-1)
    height = torch.minimum(bottom, down) - torch.maximum(top, up)
    width = torch.minimum(right, east) - torch.maximum(left, west)
    inside = height.clamp(min=0) * width.clamp(min=0)
    areas = (bottom - top) * (right - left) + (down - up) * (east - west)
    return inside / (areas - inside)


def crop_windows(
    images: Tensor,
    boxes: Tensor,
    patch_size: int,
    rows: Tensor | None = None,
) -> Tensor:
    """Cut square windows of one size out of images, without resizing.

    Shape:
        images: (N, C, H, W).
        boxes: (N, K, 4), y1, x1, y2, x2, inside the images.
        rows: (N',), which images the boxes (N', K, 4) are of; default: all.
        returns: (N * K, C, patch_size, patch_size), image by image.

    Raises:
        ValueError: the shapes do not fit, or images are smaller than that.
    """
    if rows is None:
        rows = torch.arange(len(images), device=images.device)
    check_boxes(images, boxes, len(rows))
    if min(images.shape[-2:]) < patch_size:
        raise ValueError(
            f'crop: images of {images.shape[-2]}x{images.shape[-1]} pixels '
            f'are smaller than patches of {patch_size}x{patch_size}; set '
            '`patch_size` of the selector lower or enlarge the images'
        )
    windows = images.unfold(2, patch_size, 1).unfold(3, patch_size, 1)
    cut = windows[rows[:, None], :, boxes[..., 0], boxes[..., 1]]
    return like_layout(cut.flatten(0, 1), images)


def resize_windows(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut windows of any size out of images and scale them to one size.

    The corner pixels of a window become those of its patch (bilinear), so
    that a window of ``size`` pixels stays as it is.

    Shape:
        images: (N, C, H, W).
        boxes: (N, K, 4), y1, x1, y2, x2, inside the images.
        returns: (N * K, C, size, size), image by image.

    Raises:
        ValueError: the shapes do not fit.
    """
    check_boxes(images, boxes, len(images))
    height, width = images.shape[-2:]
    flat = boxes.flatten(0, 1).to(images.dtype)
    steps = torch.linspace(0, 1, size, device=images.device).to(flat)
    extent = flat[:, 2:] - flat[:, :2]
    y = flat[:, :1] + steps * extent[:, :1]
    x = flat[:, 1:2] + steps * extent[:, 1:]
    y = 2 * y / max(height - 1, 1) - 1
    x = 2 * x / max(width - 1, 1) - 1
    grid = torch.stack(
        [
            x[:, None, :].expand(-1, size, -1),
            y[:, :, None].expand(-1, -1, size),
        ],
        dim=-1,
    )
    count = boxes.shape[1]
    # one long grid per image, so that images are not repeated
    grid = grid.view(len(images), count * size, size, 2)
    cut = F.grid_sample(images, grid, 'bilinear', align_corners=True)
    cut = cut.view(len(images), images.shape[1], count, size, size)
    return cut.transpose(1, 2).flatten(0, 1)


def check_boxes(images: Tensor, boxes: Tensor, count: int) -> None:
    """Refuse boxes that are not (count, K, 4) for images (N, C, H, W).

    Raises:
        ValueError: names both shapes.
    """
    fits = boxes.ndim == 3 and boxes.shape[-1] == 4 and images.ndim == 4
    if not fits or len(boxes) != count:
        raise ValueError(
            f'crop: boxes {tuple(boxes.shape)} do not fit images '
            f'{tuple(images.shape)}; give (N, K, 4), what the selector '
            'returns, for images (N, C, H, W)'
        )
