"""How alike the classes' maps are (DSD, categories)."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_feature_maps, check_logits, check_several


@MODELS.register_module()
class CategorySimilarityLoss(FeaturePairLoss):
    """Imitate which classes the teacher sees at the same places.

    Logits are average-pooled (ceil mode; cells at the edge by their own
    count), q = softmax over the positions of pooled logits / temperature,
    K x P per image; R = q q^T;

    loss = mean over N, K, K of (R_s - R_t)^2.

    Published weight 10. Paper: https://arxiv.org/abs/2107.08591
    (double similarity distillation), its category-wise similarity.

    Args:
        temperature: softening, > 0.
        pool_kernel: pooling window and stride.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: logits (N, K, h, w), or lists of such maps.
        returns: scalar.

    Raises:
        ValueError: classes, heights or widths differ.
    """

    def __init__(
        self,
        temperature: float = 4.0,
        pool_kernel: int = 2,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        owner = type(self).__name__
        check_positive(owner, 4.0, temperature=temperature)
        check_positive(owner, 2, pool_kernel=pool_kernel)
        self.temperature = temperature
        self.pool_kernel = pool_kernel

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of logits."""
        owner = type(self).__name__
        check_feature_maps(owner, student, teacher)
        check_logits(owner, student, teacher)
        return functional.mse_loss(
            self.relations(student), self.relations(teacher)
        )

    def relations(self, logits: torch.Tensor) -> torch.Tensor:
        """Return R, (N, K, K), of logits (N, K, h, w)."""
        pooled = functional.avg_pool2d(
            logits, self.pool_kernel, ceil_mode=True
        ).flatten(2)
        check_several(
            type(self).__name__,
            pooled,
            'tap maps of several positions, or reduce pool_kernel',
            dim=2,
        )
        probability = (pooled / self.temperature).softmax(2)
        return probability @ probability.mT

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'temperature={self.temperature}, '
            f'pool_kernel={self.pool_kernel}, {super().extra_repr()}'
        )
