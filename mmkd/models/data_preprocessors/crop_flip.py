"""Random crops and flips of a whole batch of images at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def random_crop_flip(
    images: torch.Tensor,
    padding: int = 4,
    flip_prob: float = 0.5,
    padding_mode: str = 'constant',
) -> torch.Tensor:
    """Pad, crop to the old size, flip; every image on its own.

    Draws come from torch's global generator of the images' device.

    Args:
        images: images of any type.
        padding: pixels on each side; offsets 0 to 2 * ``padding`` are equally
            likely in both directions.
        flip_prob: probability of a horizontal flip.
        padding_mode: see `crop_flip`.

    Shape:
        images: (N, C, H, W).
        returns: as ``images``, a new tensor.
    """
    count, device = len(images), images.device
    top, left = torch.randint(2 * padding + 1, (2, count), device=device)
    flip = torch.rand(count, device=device) < flip_prob
    return crop_flip(images, padding, top, left, flip, padding_mode)


def crop_flip(
    images: torch.Tensor,
    padding: int,
    top: torch.Tensor,
    left: torch.Tensor,
    flip: torch.Tensor,
    padding_mode: str = 'constant',
) -> torch.Tensor:
    """Crop every image at its own offset in the padded image, and flip.

    Args:
        images: images of any type.
        padding: pixels on each side.
        top: row of the crop's first pixel, 0 to 2 * ``padding``.
        left: the same for columns.
        flip: which images are mirrored after cropping.
        padding_mode: ``'constant'``: zeros; ``'reflect'``: the image
            mirrored at its outermost pixels.

    Shape:
        images: (N, C, H, W).
        top, left, flip: (N,).
        returns: as ``images``, a new tensor.
    """
    count, channels, height, width = images.shape
    reflect = padding_mode == 'reflect'
    padded = images if reflect else F.pad(images, (padding,) * 4)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, width)
    columns = torch.where(flip[:, None], width - 1 - columns, columns)
    columns = left[:, None] + columns
    if reflect:  # where the padded pixels come from
        rows = _reflected(rows - padding, height)
        columns = _reflected(columns - padding, width)
    pixels = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    pixels = pixels.view(count, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, pixels).view(images.shape)


def _reflected(index: torch.Tensor, length: int) -> torch.Tensor:
    """Return indices outside of 0 to ``length - 1`` mirrored into it."""
    last = length - 1
    return last - (last - index.abs()).abs()
