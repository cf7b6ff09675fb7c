"""Convolution at marked pixels only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


@torch.no_grad()
def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Windows around the marked pixels.

    Args:
        im: (1, C, H, W). mask_h_idx, mask_w_idx: (P,), where marked.
        col: (C * kernel_h * kernel_w, P).
    """
    padded = pad(im[0], (pad_w, pad_w, pad_h, pad_h))
    y = torch.arange(kernel_h, device=im.device)[:, None, None] + mask_h_idx
    x = torch.arange(kernel_w, device=im.device)[:, None] + mask_w_idx
    # a window that leaves even the padded map reads zeros
    height, width = padded.shape[1:]
    inside = (y < height) & (x < width)
    seen = padded[:, y.clamp(max=height - 1), x.clamp(max=width - 1)]
    col.copy_((seen * inside).reshape(col.shape))


@torch.no_grad()
def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Put columns (C, P) to their pixels of ``im``, (1, C, H, W)."""
    im[0, :, mask_h_idx, mask_w_idx] = col.to(im.dtype)
