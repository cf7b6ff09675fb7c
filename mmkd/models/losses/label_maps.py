"""Label maps at the size of features."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def downsample_labels(
    labels: torch.Tensor, feature_shape: Sequence[int]
) -> torch.Tensor:
    """Pick the label at (floor(i H / h), floor(j W / w)).

    Args:
        labels: (N, H, W) or (N, 1, H, W).
        feature_shape: (N, C, h, w) of the features.

    Returns:
        (N, h, w).

    Raises:
        ValueError: other dimensions, or another number of images.
    """
    if labels.ndim == 4 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 3 or len(labels) != feature_shape[0]:
        raise ValueError(
            f'labels are {tuple(labels.shape)}, expected (N, H, W) with '
            f'N={feature_shape[0]} as in the features '
            f'{tuple(feature_shape)}; pass the label maps of the same batch'
        )
    height, width = feature_shape[2:]
    rows = torch.arange(height, device=labels.device)
    columns = torch.arange(width, device=labels.device)
    rows = rows * labels.shape[1] // height
    columns = columns * labels.shape[2] // width
    return labels[:, rows[:, None], columns]


def class_labels(
    labels: torch.Tensor,
    num_classes: int,
    ignore_index: int,
    check: bool = True,
) -> torch.Tensor:
    """Return int64 labels in 0..K, K standing for "no class".

    Args:
        labels: integers of any shape.
        num_classes: K.
        ignore_index: label of pixels without class.
        check: look for labels outside the classes; if not, they count as
            ignored.

    Raises:
        ValueError: labels outside 0..K-1 that are not ``ignore_index``.
    """
    labels = labels.long()
    outside = (labels < 0) | (labels >= num_classes)
    if check:
        wrong = labels[outside & (labels != ignore_index)]
        if len(wrong):
            found = ', '.join(map(str, wrong.unique().tolist()[:10]))
            cure = (
                'set ignore_index to the void label of the data set, or map '
                'its labels to the classes'
            )
            if num_classes == 1:
                cure = f'set num_classes=2 for a head with one output, {cure}'
            raise ValueError(
                f'label {found} found but ignore_index={ignore_index} and '
                f'num_classes={num_classes}: labels must be 0..'
                f'{num_classes - 1} or ignore_index; {cure}'
            )
    no_class = outside | (labels == ignore_index)
    return labels.masked_fill(no_class, num_classes)
