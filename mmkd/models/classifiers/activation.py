"""What the cells of a map say of a class. Pure tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def class_activation_map(
    features: Tensor, fc_weight: Tensor, class_index: Tensor
) -> Tensor:
    """Return the map that ranks the windows of each image.

    A[n, r, c] = mean over channels of W[k_n] * F[n, :, r, c]; no ReLU, no
    bias, no scaling.

    Shape:
        features: (N, C, gh, gw).
        fc_weight: (Q, C).
        class_index: (N,), int64, one class for each image.
        returns: (N, gh, gw).
    """
    rows = fc_weight[class_index] / features.shape[1]
    return torch.einsum('nchw,nc->nhw', features, rows.to(features))


def class_evidence(features: Tensor, fc_weight: Tensor) -> Tensor:
    """Return what every window says of every class, exactly.

    The logits are the bias plus the mean of this over the cells, so that
    evidence / (gh * gw) is the contribution of a window.

    Shape:
        features: (N, C, gh, gw).
        fc_weight: (Q, C).
        returns: (N, Q, gh, gw).
    """
    return torch.einsum('nchw,qc->nqhw', features, fc_weight.to(features))


def standardize(maps: Sequence[Tensor]) -> Tensor:
    """Make maps of several scales comparable, and join their cells.

    Each map has mean 0 and standard deviation 1 afterwards; a constant one
    is 0.

    Shape:
        maps: (N, gh, gw) each.
        returns: (N, all cells).
    """
    flat = [scale.flatten(1) for scale in maps]
    return torch.cat(
        [
            (cells - cells.mean(1, keepdim=True))
            / cells.std(1, correction=0, keepdim=True).clamp(min=1e-12)
            for cells in flat
        ],
        dim=1,
    )
