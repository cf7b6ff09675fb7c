"""The greedy, overlap limited choice of windows, for all images at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmkd.models.classifiers.patch_geometry import box_iou

# candidates; 32 MiB
LARGEST_TABLE = 2048


def select_greedily(
    scores: Tensor,
    overlaps: Callable[[Tensor], Tensor],
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
        scores: of the candidates, finite.
        overlaps: indices (N, 1) to their IoU with all candidates (N, R).
        thresholds: largest allowed IoU, in the order of acceptance.
        always: a candidate that is accepted whenever it is visited, as the
            upper left cell is in the authors' program.

    Shape:
        scores: (N, R), R at least K.
        returns: indices (N, K), int64; valid (N, K), bool.
    """
    places = torch.arange(scores.shape[1], device=scores.device)
    nothing = float('-inf')
    index = scores.argmax(1, keepdim=True)
    chosen, valid = [index], [torch.ones_like(index, dtype=torch.bool)]
    left = places != index  # not chosen
    ahead = left  # not visited
    overlap = overlaps(index)
    for threshold in thresholds:
        last = scores.gather(1, index)
        ahead = ahead & (
            (scores < last) | ((scores == last) & (places > index))
        )
        fits = overlap <= threshold
        if always is not None:
            fits[:, always] = True
        fits &= ahead
        found = fits.any(1, keepdim=True)
        nearest = scores.masked_fill(~fits, nothing).argmax(1, keepdim=True)
        spare = scores.masked_fill(~left, nothing).argmax(1, keepdim=True)
        index = torch.where(found, nearest, spare)
        left = left & (places != index)
        # once the ranking is at its end, it stays there
        ahead = ahead & found
        overlap = torch.maximum(overlap, overlaps(index))
        chosen.append(index)
        valid.append(found)
    return torch.cat(chosen, 1), torch.cat(valid, 1)


class Overlaps:
    """IoU of candidates with all candidates; small tables are kept.

    Args:
        candidates: (R, 4), y1, x1, y2, x2.
    """

    def __init__(self, candidates: Tensor) -> None:
        self.candidates = candidates
        self.table: Tensor | None = None
        if len(candidates) <= LARGEST_TABLE:
            self.table = box_iou(candidates[:, None], candidates)

    def __call__(self, index: Tensor) -> Tensor:
        """Return the IoU (N, R) of the candidates (N, 1)."""
        if self.table is not None:
            return self.table[index[:, 0]]
        return box_iou(self.candidates, self.candidates[index])


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
