"""Point-wise spatial attention: relative masks to masks of the whole map."""

from __future__ import annotations

import torch
from torch import Tensor


def _relative(
    size: int, mask_size: int, half: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Place in the mask for each pair of pixels along one axis.

    Returns:
        (size, size): first the pixel that looks, then the one looked at;
        and whether the mask reaches that far.
    """
    pixel = torch.arange(size, device=device)
    place = pixel - pixel[:, None] + half
    reached = (place >= 0) & (place < mask_size)
    return place.clamp(0, mask_size - 1), reached


def psamask_forward(
    input: Tensor,
    output: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Spread masks over the map.

    Args:
        input: (N, h_mask * w_mask, H, W). output: (N, H * W, H, W).
        psa_type: 0 collect, 1 distribute.
    """
    device = input.device
    rows, row_ok = _relative(h_feature, h_mask, half_h_mask, device)
    columns, column_ok = _relative(w_feature, w_mask, half_w_mask, device)
    h = torch.arange(h_feature, device=device)[:, None, None, None]
    w = torch.arange(w_feature, device=device)[:, None, None]
    masks = input.view(num_, h_mask, w_mask, h_feature, w_feature)
    # (N, h, w, row looked at, column looked at)
    seen = masks[:, rows[:, None, :, None], columns[None, :, None, :], h, w]
    seen = seen * (row_ok[:, None, :, None] & column_ok[None, :, None, :])
    seen = seen.view(num_, h_feature * w_feature, -1)
    if psa_type == 0:
        seen = seen.transpose(1, 2)
    output.copy_(seen.reshape(output.shape))


def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Each place of a mask was copied at most once: read it back."""
    device = grad_output.device
    pixels = h_feature * w_feature
    grad = grad_output.reshape(num_, pixels, pixels)
    if psa_type == 0:
        grad = grad.transpose(1, 2)
    h = torch.arange(h_feature, device=device)[None, None, :, None]
    w = torch.arange(w_feature, device=device)[None, None, None, :]
    row = torch.arange(h_mask, device=device)[:, None, None, None]
    column = torch.arange(w_mask, device=device)[None, :, None, None]
    row, column = row + h - half_h_mask, column + w - half_w_mask
    inside = (row >= 0) & (row < h_feature)
    inside = inside & (column >= 0) & (column < w_feature)
    target = row.clamp(0, h_feature - 1) * w_feature
    target = target + column.clamp(0, w_feature - 1)
    read = grad[:, h * w_feature + w, target] * inside
    grad_input.copy_(read.reshape(grad_input.shape))
