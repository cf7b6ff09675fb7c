"""Probabilistic knowledge transfer."""

from __future__ import annotations

import torch

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.models.losses.gram import gram
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class PKTLoss(FeaturePairLoss):
    """Imitate the probabilities of neighbours within the batch.

    loss = mean over N^2 of P_t log((P_t + eps) / (P_s + eps)), where P has
    the rows of (cosine similarity + 1) / 2 divided by their sums, diagonal
    included, and features are divided by their norm + eps. Published weight
    30000. The loss depends on the batch size and sees the batch of its
    process only. It can be differentiated once. Paper:
    https://arxiv.org/abs/1803.10837.

    Args:
        eps: see above.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, ...), flattened to rows; widths may differ. Or
            lists of such tensors.
        returns: scalar.
    """

    def __init__(self, eps: float = 1e-7, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        check_positive('PKTLoss', 1e-7, eps=eps)
        self.eps = eps

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of features."""
        p_s, p_t = self._neighbours(student), self._neighbours(teacher)
        ratio = (p_t + self.eps) / (p_s + self.eps)
        return (p_t * ratio.log()).mean()

    def _neighbours(self, features: torch.Tensor) -> torch.Tensor:
        rows = features.flatten(1)
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        unit = rows / (norms + self.eps)
        kernel = (gram(unit, 1.0) + 1) / 2
        return kernel / kernel.sum(1, keepdim=True)
