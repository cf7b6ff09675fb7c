"""RoIAlign: average by torchvision, maximum in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from .bilinear import sample, spread
from .precision import at_least_float32, without_autocast
from .regions import bin_points, grid_groups, region_boxes


def _max_points(
    maps: Tensor,
    rois: Tensor,
    pooled: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Maxima (K, C, PH, PW) and where they were found, y and x."""
    shape = (len(rois), maps.shape[1], *pooled)
    # what the compiled operator leaves where a region has no points
    best = maps.new_full(shape, -10000.0)
    best_y, best_x = maps.new_full(shape, -1.0), maps.new_full(shape, -1.0)
    low, size = region_boxes(rois, spatial_scale, aligned)
    for group, points_y, points_x in grid_groups(size, pooled, sampling_ratio):
        if points_y * points_x == 0:
            continue
        at_y, at_x = (
            bin_points(low[group, axis], size[group, axis], bins, points)
            for axis, (bins, points) in enumerate(
                zip(pooled, (points_y, points_x), strict=True)
            )
        )
        # (k, PH, PW, points_y, points_x), flattened for sampling
        at_y, at_x = torch.broadcast_tensors(
            at_y[:, :, None, :, None], at_x[:, None, :, None, :]
        )
        at_y, at_x = at_y.flatten(1), at_x.flatten(1)
        values = sample(maps, rois[group, 0].long(), at_y, at_x)
        values = values.view(len(group), *pooled, points_y * points_x, -1)
        place = values.argmax(3, keepdim=True)
        found = [values, at_y.reshape(*values.shape[:4], 1)]
        found.append(at_x.reshape(*values.shape[:4], 1))
        for target, source in zip((best, best_y, best_x), found, strict=True):
            taken = source.expand_as(values).gather(3, place).squeeze(3)
            target[group] = taken.permute(0, 3, 1, 2)
    return best, best_y, best_x


@torch.no_grad()
def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Pool regions.

    Args:
        input: (N, C, H, W). rois: (K, 5): image, x1, y1, x2, y2.
        output: (K, C, aligned_height, aligned_width).
        argmax_y, argmax_x: as ``output`` for the maximum, else empty.
        pool_mode: 0 maximum, 1 average.
    """
    maps, boxes = at_least_float32(input, rois)
    with without_autocast(input):
        if pool_mode == 1:
            pooled = torch.ops.torchvision.roi_align(
                maps,
                boxes,
                spatial_scale,
                aligned_height,
                aligned_width,
                sampling_ratio,
                aligned,
            )
            output.copy_(pooled)
            return
        found = _max_points(
            maps,
            boxes,
            (aligned_height, aligned_width),
            spatial_scale,
            sampling_ratio,
            aligned,
        )
    for target, source in zip(
        (output, argmax_y, argmax_x), found, strict=True
    ):
        target.copy_(source)


@torch.no_grad()
def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of the pooled maps, into ``grad_input`` (N, C, H, W)."""
    grad, boxes = at_least_float32(grad_output, rois)
    with without_autocast(grad_output):
        if pool_mode == 1:
            grad_maps = torch.ops.torchvision._roi_align_backward(
                grad,
                boxes,
                spatial_scale,
                aligned_height,
                aligned_width,
                *grad_input.shape,
                sampling_ratio,
                aligned,
            )
        else:
            grad_maps = grad.new_zeros(grad_input.shape)
            y, x = (
                place.to(grad).flatten(2) for place in (argmax_y, argmax_x)
            )
            grad = grad.flatten(2) * (y != -1)
            spread(grad_maps, boxes[:, 0].long(), y, x, grad)
    grad_input.copy_(grad_maps)
