"""Deformable RoI pooling: average of regions whose bins are shifted."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from .bilinear import sample
from .precision import gradients, run
from .regions import bin_points, grid_groups, region_boxes


def _pool(
    maps: Tensor,
    offset: Tensor,
    rois: Tensor,
    pooled: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> Tensor:
    """Pooled regions (K, C, PH, PW), differentiable in maps and offset."""
    rois = rois.to(maps.dtype)
    low, size = region_boxes(rois, spatial_scale, aligned=True)
    shifts = torch.zeros(len(rois), 2, *pooled).to(maps)
    if offset.numel():  # offsets are (x, y), in parts of the region's size
        extent = size.flip(1)[:, :, None, None]
        shifts = (gamma * extent * offset).flip(1)
    output = maps.new_zeros(len(rois), maps.shape[1], *pooled)
    for group, points_y, points_x in grid_groups(size, pooled, sampling_ratio):
        count = points_y * points_x
        if count == 0:
            continue
        y = bin_points(low[group, 0], size[group, 0], pooled[0], points_y)
        x = bin_points(low[group, 1], size[group, 1], pooled[1], points_x)
        shift_y, shift_x = shifts[group, :, :, :, None, None].unbind(1)
        y = y[:, :, None, :, None] + shift_y
        x = x[:, None, :, None, :] + shift_x
        y, x = torch.broadcast_tensors(y, x)
        image = rois[group, 0].long()
        values = sample(maps, image, y.flatten(1), x.flatten(1))
        values = values.view(len(group), *pooled, count, -1).mean(3)
        output = output.index_copy(0, group, values.permute(0, 3, 1, 2))
    return output


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Pool regions.

    Args:
        input: (N, C, H, W). rois: (K, 5): image, x1, y1, x2, y2.
        offset: (K, 2, pooled_height, pooled_width), or empty.
        output: (K, C, pooled_height, pooled_width).
    """
    pool = partial(
        _pool,
        rois=rois,
        pooled=(pooled_height, pooled_width),
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        gamma=gamma,
    )
    output.copy_(run(pool, input, offset))


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Gradients of maps and offsets."""
    pool = partial(
        _pool,
        rois=rois,
        pooled=(pooled_height, pooled_width),
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        gamma=gamma,
    )
    if not offset.numel():
        without = partial(pool, offset=offset)
        (grad,) = gradients(without, (input,), grad_output)
        grad_input.copy_(grad)
        return
    grad, shifted = gradients(pool, (input, offset), grad_output)
    grad_input.copy_(grad)
    grad_offset.copy_(shifted)
