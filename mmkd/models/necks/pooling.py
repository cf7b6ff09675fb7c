"""Maps of one size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def pooled_to_smallest(maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Average maps (N, C, H, W) to the smallest height and width of all."""
    size = (min(m.shape[2] for m in maps), min(m.shape[3] for m in maps))
    return [
        value
        if value.shape[2:] == size
        else functional.adaptive_avg_pool2d(value, size)
        for value in maps
    ]
