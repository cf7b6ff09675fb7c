"""Bilinear sampling with the border rule of region pooling.

A point more than one pixel outside of the map reads zero; nearer ones are
moved onto the map.
"""

from __future__ import annotations

import torch
from torch import Tensor


def corners(
    y: Tensor, x: Tensor, height: int, width: int
) -> list[tuple[Tensor, Tensor]]:
    """The four pixels around each point, and their weights.

    Args:
        y, x: coordinates in pixels, same shape.

    Returns:
        four pairs of ``row * width + column`` and weight, shaped as ``y``.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.detach().floor(), x.detach().floor()
    down, right = y - top, x - left
    rows = [(top, 1 - down), ((top + 1).clamp(max=height - 1), down)]
    columns = [(left, 1 - right), ((left + 1).clamp(max=width - 1), right)]
    return [
        ((row * width + column).long(), weight_y * weight_x * inside)
        for row, weight_y in rows
        for column, weight_x in columns
    ]


def sample(maps: Tensor, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Values of all channels at points; differentiable in maps, y and x.

    Args:
        maps: (N, C, H, W).
        image: (K,), which map the points of row k read.
        y, x: (K, P), in pixels.

    Returns:
        (K, P, C).
    """
    channels, height, width = maps.shape[1:]
    pixels = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    start = (image * height * width)[:, None]
    values: Tensor | int = 0
    for index, weight in corners(y, x, height, width):
        read = pixels.index_select(0, (start + index).flatten())
        values = values + read.view(*y.shape, channels) * weight[..., None]
    return torch.as_tensor(values)


def spread(
    grad_maps: Tensor, image: Tensor, y: Tensor, x: Tensor, grad: Tensor
) -> None:
    """Add gradients of single channels to the pixels that were read.

    Args:
        grad_maps: (N, C, H, W), contiguous, changed in place.
        image: (K,).
        y, x, grad: (K, C, P), a point for each channel.
    """
    channels, height, width = grad_maps.shape[1:]
    channel = torch.arange(channels, device=y.device)
    plane = image[:, None] * channels + channel
    start = (plane * height * width)[..., None]
    for index, weight in corners(y, x, height, width):
        grad_maps.view(-1).index_add_(
            0, (start + index).flatten(), (grad * weight).flatten()
        )
