"""Selection of windows as a loop over images and cells, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def select_in_turn(
    maps: Tensor,
    thresholds: Sequence[float],
    accept_top_left: bool,
    patch_size: int,
    stride: int,
) -> Tensor:
    """Return the boxes (N, K, 4) of maps (N, gh, gw), one by one.

    The structure is that of AnchorNet's public program: every image is
    ranked by itself, and every cell that is visited is compared with the
    accepted windows, tensors read one number at a time.
    """
    columns = maps.shape[2]
    last = patch_size - 1
    chosen = []
    for activation in maps:
        order = activation.flatten().argsort(descending=True)
        accepted: list[list[int]] = []
        for cell in order:
            index = int(cell)
            y, x = index // columns * stride, index % columns * stride
            box = [y, x, y + last, x + last]
            limit = thresholds[len(accepted) - 1] if accepted else 1.0
            overlap = [_iou(torch.tensor(box), torch.tensor(other))
                       for other in accepted]  # fmt: skip
            first = accept_top_left and index == 0
            if first or all(float(value) <= limit for value in overlap):
                accepted.append(box)
            if len(accepted) > len(thresholds):
                break
        chosen.append(accepted)
    return torch.tensor(chosen)


def select_in_turn_by_lists(
    maps: Tensor,
    thresholds: Sequence[float],
    accept_top_left: bool,
    patch_size: int,
    stride: int,
) -> Tensor:
    """Do the same with plain numbers, as fast as Python is."""
    columns = maps.shape[2]
    extent = patch_size - 1
    chosen = []
    ranking = maps.flatten(1).argsort(dim=1, descending=True).tolist()
    for order in ranking:
        accepted: list[tuple[int, int]] = []
        for index in order:
            y, x = index // columns * stride, index % columns * stride
            limit = thresholds[len(accepted) - 1] if accepted else 1.0
            fits = True
            for other_y, other_x in accepted:
                height = extent - abs(y - other_y)
                width = extent - abs(x - other_x)
                if height > 0 and width > 0:
                    inside = height * width
                    union = 2 * extent * extent - inside
                    if inside / union > limit:
                        fits = False
                        break
            if fits or (accept_top_left and index == 0):
                accepted.append((y, x))
                if len(accepted) > len(thresholds):
                    break
        chosen.append([[y, x, y + extent, x + extent] for y, x in accepted])
    return torch.tensor(chosen)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    upper, lower = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    inside = (lower - upper).clamp(min=0).prod()
    areas = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()
    return inside / (areas - inside)
