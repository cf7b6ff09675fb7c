"""Suppression and overlap of axis-aligned boxes (x1, y1, x2, y2)."""

from __future__ import annotations

import numpy as np
import torch
import torchvision
from torch import Tensor

from .precision import at_least_float32

Array = np.ndarray


def nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int
) -> Tensor:
    """Indices of kept boxes, best first.

    Args:
        boxes: (N, 4). scores: (N,).
        iou_threshold: boxes that overlap a kept one more than this go.
        offset: width and height are ``x2 - x1 + offset``.
    """
    boxes, scores = at_least_float32(boxes, scores)
    if offset:
        boxes = boxes + boxes.new_tensor([0.0, 0.0, offset, offset])
    # the compiled operator compares in float32
    return torchvision.ops.nms(boxes, scores, float(np.float32(iou_threshold)))


def _areas(boxes: Array, offset: int) -> Array:
    """Areas (N,) of boxes (N, 4)."""
    width, height = (boxes[:, 2:] - boxes[:, :2] + offset).T
    return width * height


def _overlaps(
    box: Array, area: Array, boxes: Array, areas: Array, offset: int
) -> Array:
    """Intersection over union of a box (4,) and boxes (N, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:4])
    width, height = np.maximum(high - low + offset, 0).T
    inter = width * height
    return inter / (area + areas - inter)


def _decay(
    overlaps: Array, method: int, iou_threshold: float, sigma: float
) -> Array:
    """Factors on the scores: 0 naive, 1 linear, 2 Gaussian."""
    if method == 2:
        return np.exp(-(overlaps * overlaps) / overlaps.dtype.type(sigma))
    lowered = 1 - overlaps if method == 1 else np.zeros_like(overlaps)
    hit = overlaps >= overlaps.dtype.type(iou_threshold)
    return np.where(hit, lowered, np.ones_like(overlaps))


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Indices of kept boxes in the order in which they were chosen.

    Args:
        boxes: (N, 4), on the CPU, as ``mmcv.ops`` gives them. scores: (N,).
        dets: (N, 5) on the CPU, receives boxes and lowered scores.
        method: 0 naive, 1 linear, 2 Gaussian.
    """
    boxes, scores = at_least_float32(boxes, scores)
    areas = _areas(boxes.numpy(), offset)
    rest = np.column_stack([boxes.numpy(), scores.numpy(), areas])
    inds = np.arange(len(rest))
    lowest = rest.dtype.type(min_score)
    start = 0
    while start < len(rest):
        best = start + int(rest[start:, 4].argmax())
        rest[[start, best]] = rest[[best, start]]
        inds[[start, best]] = inds[[best, start]]
        chosen, start = rest[start], start + 1
        others = rest[start:]
        with np.errstate(divide='ignore', invalid='ignore'):
            overlaps = _overlaps(
                chosen[:4], chosen[5], others, others[:, 5], offset
            )
        others[:, 4] *= _decay(overlaps, method, iou_threshold, sigma)
        dropped = others[:, 4] < lowest
        if dropped.any():
            rest, inds = _drop(rest, inds, start, dropped)
    dets[: len(rest)] = torch.from_numpy(rest[:, :5])
    return torch.from_numpy(inds)


def _drop(
    rest: Array, inds: Array, start: int, dropped: Array
) -> tuple[Array, Array]:
    """Let the last boxes take the places of dropped ones.

    As in the compiled operator: of equal scores the first place wins.
    """
    count = start + int((~dropped).sum())
    holes = start + np.flatnonzero(dropped[: count - start])
    movers = count + np.flatnonzero(~dropped[count - start :])[::-1]
    rest[holes], inds[holes] = rest[movers], inds[movers]
    return rest[:count], inds[:count]


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of indices: each kept box with those that it suppresses.

    Args:
        dets: (N, 5), boxes and scores, on the CPU.
        iou_threshold: overlaps of at least this are suppressed.
    """
    boxes = dets.detach().float().numpy()
    scores = dets[:, 4].detach()
    rest = scores.sort(descending=True, stable=True).indices.numpy()
    areas = _areas(boxes[:, :4], 0)
    groups = []
    while len(rest):
        first, rest = rest[0], rest[1:]
        with np.errstate(divide='ignore', invalid='ignore'):
            overlaps = _overlaps(
                boxes[first, :4], areas[first], boxes[rest], areas[rest], 0
            )
        hit = overlaps >= np.float32(iou_threshold)
        groups.append([int(first), *rest[hit].tolist()])
        rest = rest[~hit]
    return groups


def bbox_overlaps(
    bboxes1: Tensor,
    bboxes2: Tensor,
    ious: Tensor,
    mode: int,
    aligned: bool,
    offset: int,
) -> None:
    """Overlaps of boxes (N, 4) and (M, 4), into ``ious``, (N, M).

    ``mode`` 0 divides by the union, 1 by the first box's area; ``aligned``
    compares row by row: N equals M, ``ious`` is (N,).
    """
    first, second = at_least_float32(bboxes1, bboxes2)
    if not aligned:
        first = first[:, None]
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    inter = (high - low + offset).clamp(min=0).prod(-1)
    area1 = (first[..., 2:] - first[..., :2] + offset).prod(-1)
    area2 = (second[..., 2:] - second[..., :2] + offset).prod(-1)
    base = area1 + area2 - inter if mode == 0 else area1
    ious.copy_(inter / base.clamp(min=offset))
