"""Relational knowledge distillation."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.angle_gap import angle_gap
from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.registry import MODELS

LEAST_DISTANCE = 1e-6


@MODELS.register_module()
class RKDLoss(FeaturePairLoss):
    """Imitate distances and angles between the images of a batch.

    loss = distance_weight * smooth_l1(d_s, d_t) + angle_weight *
    smooth_l1(A_s, A_t), means over N^2 pairs and N^3 triples, where d_ij =
    |f_i - f_j| (at least 1e-6 for i != j) divided by its mean over i != j,
    and A_ijk is the cosine of the angle at i between j and k (0 where two of
    them coincide). Published weight 1 with 25 and 50. The loss depends on
    the batch size and sees the batch of its process only. Paper:
    https://arxiv.org/abs/1904.05068.

    Angles come from distances by the law of cosines, so that beside the N x N
    distances nothing depends on the width of the features. It can be
    differentiated once.

    Args:
        distance_weight: factor on the distance term.
        angle_weight: factor on the angle term.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, ...), N > 2 in training, flattened to rows;
            widths may differ. Or lists of such tensors.
        returns: scalar.
    """

    def __init__(
        self,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the two weighted terms of one pair of features."""
        if self.training and len(student) < 3:
            raise ValueError(
                f'RKDLoss: features {tuple(student.shape)}: an angle needs '
                'three images; set batch_size > 2 on every device'
            )
        d_s, d_t = distances(student), distances(teacher)
        loss = student.new_zeros(())
        if self.distance_weight:
            gap = functional.smooth_l1_loss(relative(d_s), relative(d_t))
            loss = loss + self.distance_weight * gap.to(loss.dtype)
        if self.angle_weight:
            gap = angle_gap(d_s, d_t, student.dtype)
            loss = loss + self.angle_weight * gap
        return loss


def distances(features: torch.Tensor) -> torch.Tensor:
    """Euclidean distances (N, N), float64, of the rows of (N, ...).

    By differences, not products: exact for near and equal rows, whose
    gradient is 0.
    """
    rows = features.flatten(1).double()
    exact = 'donot_use_mm_for_euclid_dist'
    return torch.cdist(rows, rows, compute_mode=exact)


def relative(distance: torch.Tensor) -> torch.Tensor:
    """Distances (N, N) over their mean; pairs have a least distance."""
    count = len(distance)
    pairs = ~torch.eye(count, dtype=torch.bool, device=distance.device)
    distance = distance.clamp_min(LEAST_DISTANCE) * pairs
    return distance / (distance.sum() / (count * (count - 1)))
