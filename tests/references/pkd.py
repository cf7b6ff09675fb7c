"""PKD: the yardstick of tests, channel by channel from the equations."""

from __future__ import annotations

import torch
from torch.nn import functional

Tensor = torch.Tensor


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's r of two vectors."""
    a, b = first - first.sum() / len(first), second - second.sum() / len(first)
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt()


def pkd(student: Tensor, teacher: Tensor) -> Tensor:
    """PKD of maps (N, C, H, W) without constant channels, by correlations."""
    images, channels, height, width = student.shape
    count = images * height * width
    total = student.new_zeros(())
    for channel in range(channels):
        r = correlation(
            student[:, channel].flatten(), teacher[:, channel].flatten()
        )
        total = total + (1 - r) * (count - 1) / count
    return total / channels


def normalised_error(student: Tensor, teacher: Tensor, eps: float) -> Tensor:
    """PKD with ``eps``, value by value."""
    total = student.new_zeros(())
    for channel in range(student.shape[1]):
        sides = []
        for maps in (student, teacher):
            values = maps[:, channel].flatten()
            centred = values - values.sum() / len(values)
            variance = (centred * centred).sum() / (len(values) - 1)
            sides.append(centred / (variance.sqrt() + eps))
        total = total + ((sides[0] - sides[1]) ** 2).sum() / 2
    return total / student.numel()


# -- the form of published code, for speed -----------------------------------


def by_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """PKD of maps (N, C, H, W) with a row of a matrix for each channel."""
    rows = []
    for maps in (student, teacher):
        values = maps.permute(1, 0, 2, 3).reshape(maps.shape[1], -1)
        centred = values - values.mean(dim=1, keepdim=True)
        rows.append(centred / (values.std(dim=1, keepdim=True) + 1e-6))
    return functional.mse_loss(*rows) / 2
