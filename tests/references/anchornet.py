"""AnchorNet, slowly: one map, one window, one image after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    inside = max(height, 0) * max(width, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return inside / (areas - inside)


def visit(
    scores: Sequence[float],
    boxes: Sequence[Sequence[int]],
    thresholds: Sequence[float],
    count: int,
    always: int | None,
) -> list[int]:
    """Accepted candidates in the order of acceptance, at most ``count``."""
    order = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
    found: list[int] = []
    for cell in order:
        if len(found) == count:
            break
        limit = thresholds[len(found) - 1] if found else math.inf
        fits = all(iou(boxes[cell], boxes[k]) <= limit for k in found)
        if fits or cell == always:
            found.append(cell)
    return found


def select(
    activation: Tensor,
    count: int,
    thresholds: Sequence[float],
    accept_top_left: bool,
    patch_size: int = 95,
    stride: int = 8,
) -> tuple[list[list[int]], list[bool]]:
    """Boxes of one map (gh, gw), missing ones filled up, and validity."""
    rows, columns = activation.shape
    last = patch_size - 1
    boxes = [
        [stride * r, stride * c, stride * r + last, stride * c + last]
        for r in range(rows)
        for c in range(columns)
    ]
    scores = activation.flatten().tolist()
    always = 0 if accept_top_left else None
    found = visit(scores, boxes, thresholds, count, always)
    valid = [True] * len(found) + [False] * (count - len(found))
    order = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
    spare = [cell for cell in order if cell not in found]
    cells = found + spare[: count - len(found)]
    return [boxes[cell] for cell in cells], valid


def crop(images: Tensor, boxes: Tensor) -> Tensor:
    patches = []
    for image, own in zip(images, boxes.tolist(), strict=True):
        for y1, x1, y2, x2 in own:
            patches.append(image[:, y1 : y2 + 1, x1 : x2 + 1])
    return torch.stack(patches)


def block(x: Tensor, state: dict[str, Tensor], stride: int) -> Tensor:
    """One block in eval mode, from its weights."""

    def norm(value: Tensor, name: str) -> Tensor:
        return F.batch_norm(
            value,
            state[f'{name}.running_mean'],
            state[f'{name}.running_var'],
            state[f'{name}.weight'],
            state[f'{name}.bias'],
            eps=1e-5,
        )

    def swish(value: Tensor) -> Tensor:
        return value * torch.sigmoid(value)

    out = x
    if 'conv1.weight' in state:
        out = swish(norm(F.conv2d(out, state['conv1.weight']), 'bn1'))
    weight = state['conv2.weight']
    out = F.conv2d(out, weight, stride=stride, groups=len(weight))
    out = swish(norm(out, 'bn2'))
    if 'se.se1.weight' in state:
        mean = out.mean((2, 3))
        first = state['se.se1.weight'][:, :, 0, 0]
        second = state['se.se2.weight'][:, :, 0, 0]
        gate = swish(mean @ first.T + state['se.se1.bias'])
        gate = torch.sigmoid(gate @ second.T + state['se.se2.bias'])
        out = out * gate[:, :, None, None]
    out = norm(F.conv2d(out, state['conv3.weight']), 'bn3')
    if stride == 1 and out.shape[1] == x.shape[1]:
        out = out + x[:, :, : out.shape[2], : out.shape[3]]
    return out


def early_exit(
    confidence: np.ndarray,
    correct: np.ndarray,
    thresholds: Sequence[float],
    costs: Sequence[float],
) -> tuple[list[int], list[int], float]:
    """Images and right ones of each stage, and the mean cost."""
    count, right, total = [0] * len(costs), [0] * len(costs), 0.0
    for row, hits in zip(confidence, correct, strict=True):
        for stage, value in enumerate(row):
            if value > thresholds[stage] or stage == len(costs) - 1:
                count[stage] += 1
                right[stage] += bool(hits[stage])
                total += costs[stage]
                break
    return count, right, total / len(confidence)
