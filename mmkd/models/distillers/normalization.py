"""Input of a teacher whose images are normalised in another way."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Renormalize(nn.Module):
    """Turn images normalised for the student into the teacher's.

    teacher = (student * std_s + mean_s - mean_t) / std_t per channel, after
    a swap of the channel order where the two differ. Pixels that were padded
    after normalisation stand for the student's mean colour.

    Args:
        student: the data preprocessor that made the images.
        teacher: the teacher's own data preprocessor.

    Shape:
        images: (N, C, H, W), any float dtype; returns the same.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        mean_s, std_s, swap_s = pixel_constants(student)
        mean_t, std_t, swap_t = pixel_constants(teacher)
        self.swap = swap_s != swap_t
        if self.swap:
            mean_s, std_s = mean_s.flip(0), std_s.flip(0)
        scale, shift = torch.broadcast_tensors(
            std_s / std_t, (mean_s - mean_t) / std_t
        )
        self.register_buffer('scale', scale[:, None, None].clone())
        self.register_buffer('shift', shift[:, None, None].clone())
        self.identity = (
            not self.swap
            and bool((scale == 1).all())
            and bool((shift == 0).all())
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the images as the teacher expects them."""
        if self.identity:
            return images
        if self.swap:
            images = images.flip(1)
        return images * self.scale.to(images) + self.shift.to(images)


def pixel_constants(
    preprocessor: nn.Module,
) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Return mean (C,), std (C,) and whether the channels are swapped."""
    mean: Any = getattr(preprocessor, 'mean', None)
    std: Any = getattr(preprocessor, 'std', None)
    mean = torch.zeros(1) if mean is None else mean.detach().flatten().cpu()
    std = torch.ones(1) if std is None else std.detach().flatten().cpu()
    swap = any(
        bool(getattr(preprocessor, name, False))
        for name in ('channel_conversion', '_channel_conversion', 'to_rgb')
    )
    return mean.double(), std.double(), swap
