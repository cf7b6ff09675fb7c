"""The greedy, overlap limited choice of windows, for all images at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmkd.models.classifiers.patch_geometry import box_iou


def select_greedily(
    scores: Tensor,
    candidates: Tensor,
    thresholds: Sequence[float],
    always: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose K = len(thresholds) + 1 windows of each image.

    Candidates are visited from the highest score down (of equal ones the
    first). One is accepted if its IoU with every accepted window is at most
    ``thresholds[c - 1]``, where c windows are accepted so far; the first
    needs nothing. What was passed over is never looked at again. Places
    that stay free get the best candidates that are left, marked invalid.

    There is no loop over images and nothing is read back from the device.

    Args:
        scores: of the candidates.
        candidates: their windows.
        thresholds: largest allowed IoU, in the order of acceptance.
        always: a candidate that is accepted whenever it is visited, as the
            upper left cell is in the authors' program.

    Shape:
        scores: (N, R), R at least K.
        candidates: (R, 4), y1, x1, y2, x2.
        returns: indices (N, K), int64; valid (N, K), bool.
    """
    count, total = scores.shape
    order = scores.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order)
    places = torch.arange(total, device=scores.device).expand_as(order)
    rank.scatter_(1, order, places)

    chosen = [order[:, :1]]
    valid = [torch.ones_like(chosen[0], dtype=torch.bool)]
    last = torch.zeros_like(chosen[0])  # rank of the last accepted one
    free = rank > 0
    overlap = box_iou(candidates, candidates[chosen[0]])
    for threshold in thresholds:
        fits = overlap <= threshold
        if always is not None:
            fits[:, always] = True
        fits &= free & (rank > last)
        nearest = rank.masked_fill(~fits, total).amin(1, keepdim=True)
        found = nearest < total
        spare = rank.masked_fill(~free, total).amin(1, keepdim=True)
        place = torch.where(found, nearest, spare)
        # once the ranking is at its end, it stays there
        last = torch.where(found, nearest, total)
        index = order.gather(1, place)
        free = free & (rank != place)
        overlap = torch.maximum(
            overlap, box_iou(candidates, candidates[index])
        )
        chosen.append(index)
        valid.append(found)
    return torch.cat(chosen, 1), torch.cat(valid, 1)


def check_choice(
    owner: str, num_patches: int, iou_thresholds: float | Sequence[float]
) -> tuple[float, ...]:
    """Return the K - 1 thresholds that a choice of K windows needs.

    Raises:
        ValueError: K is below 1; too few thresholds, or one outside [0, 1].
    """
    if num_patches < 1:
        raise ValueError(
            f'{owner}: num_patches={num_patches} patches cannot be chosen; '
            'set `num_patches` to at least 1'
        )
    needed = num_patches - 1
    if isinstance(iou_thresholds, (int, float)):
        values = (float(iou_thresholds),) * max(needed, 1)
    else:
        values = tuple(float(value) for value in iou_thresholds)
    if len(values) < needed:
        raise ValueError(
            f'{owner}: iou_thresholds has {len(values)} entries, num_patches='
            f'{num_patches} needs {needed}: one for every patch after the '
            'first; give as many, or one number for all'
        )
    wrong = [value for value in values if not 0 <= value <= 1]
    if wrong:
        raise ValueError(
            f'{owner}: iou_thresholds={list(values)} holds {wrong}; an '
            'overlap is a number from 0 (no overlap) to 1 (any)'
        )
    return values[:needed]
