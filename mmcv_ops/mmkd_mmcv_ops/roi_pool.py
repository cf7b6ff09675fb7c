"""RoIPool as mmcv defines it: bins of unrounded regions."""

from __future__ import annotations

import torch
from torch import Tensor

from .precision import at_least_float32


def _bins(low: Tensor, size: Tensor, count: int, length: int) -> Tensor:
    """Which pixels each bin covers along one axis, (K, count, length)."""
    step = (size / count)[:, None]
    number = torch.arange(count, device=low.device)
    start = (number * step + low[:, None]).floor()[..., None]
    stop = ((number + 1) * step + low[:, None]).ceil()[..., None]
    pixel = torch.arange(length, device=low.device)
    return (pixel >= start) & (pixel < stop)


def _best(values: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum over the last axis of each bin, and its place.

    Args:
        values: (..., L). allowed: (bins, L), or (..., bins, L).
    """
    masked = values[..., None, :].masked_fill(~allowed, -torch.inf)
    place = masked.argmax(-1)
    return masked.gather(-1, place[..., None]).squeeze(-1), place


@torch.no_grad()
def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Maximum over the pixels that each bin touches.

    Args:
        input: (N, C, H, W). rois: (K, 5): image, x1, y1, x2, y2.
        output: (K, C, pooled_height, pooled_width).
        argmax: as ``output``, integer, ``row * W + column``; -1 where a bin
            lies outside of the map, whose output is 0.
    """
    maps, boxes = at_least_float32(input, rois)
    height, width = maps.shape[2:]
    x1, y1 = (boxes[:, 1:3] * spatial_scale).unbind(1)
    x2, y2 = ((boxes[:, 3:] + 1) * spatial_scale).unbind(1)
    all_rows = _bins(y1, y2 - y1, pooled_height, height)
    all_columns = _bins(x1, x2 - x1, pooled_width, width)
    for k, image in enumerate(boxes[:, 0].long().tolist()):
        rows, columns = all_rows[k], all_columns[k]
        row_ids = rows.any(0).nonzero().flatten()
        column_ids = columns.any(0).nonzero().flatten()
        filled = rows.any(1)[:, None] & columns.any(1)
        filled &= (x2[k] > x1[k]) & (y2[k] > y1[k])
        if not filled.any():
            output[k], argmax[k] = 0, -1
            continue
        region = maps[image][:, row_ids][:, :, column_ids]
        # first along rows, then down: the first of equal values wins
        wide, column = _best(region, columns[:, column_ids])
        best, row = _best(wide.transpose(1, 2), rows[:, row_ids])
        best, row = best.transpose(1, 2), row.transpose(1, 2)
        column = column_ids[column.gather(1, row)]
        place = row_ids[row] * width + column
        output[k] = best.masked_fill(~filled, 0).to(output.dtype)
        argmax[k] = place.masked_fill(~filled, -1).to(argmax.dtype)


@torch.no_grad()
def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Gradients go to the pixels that were the maxima."""
    (grad,) = at_least_float32(grad_output)
    channels, height, width = grad_input.shape[1:]
    channel = torch.arange(channels, device=argmax.device)
    plane = rois[:, :1].long() * channels + channel
    place = plane[..., None] * height * width + argmax.flatten(2)
    taken = argmax.flatten(2) != -1
    flat = grad.new_zeros(grad_input.numel())
    flat.index_add_(0, place[taken], grad.flatten(2)[taken])
    grad_input.copy_(flat.view_as(grad_input))
