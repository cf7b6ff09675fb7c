"""Distribution matching of neuron activations by Gram matrices."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    pool_to_smaller,
    require_maps,
)
from mmkd.registry import MODELS

EPSILON = 1e-12  # a dead channel stays zero


@MODELS.register_module()
class NSTLoss(FeaturePairLoss):
    """Match the channels' activation patterns in distribution (NST).

    The rows of A (C, HW) are a map's channels, each divided by its norm;
    the larger of two maps is average-pooled to the smaller first. With the
    squared kernel k(A, B) = mean_{c, c'} (A_c . B_c')^2 the squared maximum
    mean discrepancy of a stage is

    mean_N [k(A_t, A_t) + k(A_s, A_s) - 2 k(A_s, A_t)],

    summed over the stages. Since k(A, B) = |A B^T|^2 / (C_A C_B) = <A^T A,
    B^T B> / (C_A C_B), products of channels or of positions suffice,
    whichever are fewer. Unweighted; the published weight is 50. Paper:
    https://arxiv.org/abs/1707.01219.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: maps (N, C_s, H_s, W_s) and (N, C_t, H_t, W_t), or
            lists of them. Half precision is computed in float32.
        returns: scalar.

    Raises:
        ValueError: no maps, other images, or lists of other length.
    """

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the discrepancy of one stage."""
        require_maps('NSTLoss', student, teacher)
        maps = pool_to_smaller(student, teacher)
        rows_s, rows_t = (
            functional.normalize(part.flatten(2), dim=2, eps=EPSILON)
            for part in maps
        )
        channels_s, channels_t = rows_s.shape[1], rows_t.shape[1]
        across = channels_s**2 + channels_t**2 + channels_s * channels_t
        if rows_s.shape[2] * (channels_s + channels_t) < across:
            difference = _positions(rows_s) - _positions(rows_t)
            return difference.square().sum((1, 2)).mean()
        return (
            _kernel(rows_t, rows_t)
            + _kernel(rows_s, rows_s)
            - 2 * _kernel(rows_s, rows_t)
        )


def _positions(rows: torch.Tensor) -> torch.Tensor:
    """Return A^T A / C, (N, HW, HW)."""
    return rows.transpose(1, 2) @ rows / rows.shape[1]


def _kernel(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the mean of k over the images."""
    return (first @ second.transpose(1, 2)).square().mean()
