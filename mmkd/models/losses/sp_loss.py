"""Similarity-preserving distillation."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.models.losses.gram import gram
from mmkd.registry import MODELS


@MODELS.register_module()
class SPLoss(FeaturePairLoss):
    """Imitate which images of the batch activate the teacher alike.

    loss = |G_s - G_t|_F^2 / N^2, where G = F F^T with L2-normalised rows and
    F holds the features of an image per row. Published weight 3000. The loss
    depends on the batch size and sees the batch of its process only. It can
    be differentiated once. Paper: https://arxiv.org/abs/1907.09682.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, ...) or lists of such tensors; all but N may
            differ.
        returns: scalar.
    """

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one stage."""
        return functional.mse_loss(
            similarities(student), similarities(teacher)
        )


def similarities(features: torch.Tensor) -> torch.Tensor:
    """Return G (N, N), its rows of norm 1, of features (N, ...)."""
    return functional.normalize(gram(features.flatten(1), 1.0), dim=1)
