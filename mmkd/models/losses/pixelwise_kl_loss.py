"""Heat-map distillation by KL divergence over pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_several


@MODELS.register_module()
class PixelwiseKLLoss(nn.Module):
    """Compare each joint's heat map as a distribution over its pixels.

    loss = temperature**2 / (B H W) * sum_{b, j} KL(q_bj || p_bj),
    p = softmax over the H W pixels of w * pred / temperature, q the same of
    the target. The sum over joints is not divided by their number. A joint of
    weight 0 gives two uniform distributions: exactly no loss. Weights are
    meant to be 0 or 1; others act as inverse temperatures. Code of OKDHP, https://arxiv.org/abs/2108.02092.

    Heat maps lie between 0 and 1, so at temperature 1 both distributions
    are nearly uniform and the loss is small beside the task's.

    Args:
        temperature: softening, > 0.
        loss_weight: factor on the returned value.
        use_target_weight: multiply the maps by ``target_weight`` if given.
        detach_target: stop the gradient to the target; the published code
            does not.

    Shape:
        pred: (B, J, H, W), or a list of those: the sum of their losses.
            Half precision is computed in float32.
        target: (B, J, H, W).
        target_weight: (B, J) or (B, J, 1), or None.
        returns: scalar.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
        use_target_weight: bool = True,
        detach_target: bool = False,
    ) -> None:
        super().__init__()
        check_positive('PixelwiseKLLoss', 1.0, temperature=temperature)
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.use_target_weight = use_target_weight
        self.detach_target = detach_target

    def forward(
        self,
        pred: torch.Tensor | Sequence[torch.Tensor],
        target: torch.Tensor,
        target_weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: the shapes differ or are no heat maps.
        """
        if not isinstance(pred, torch.Tensor):
            terms = [self(one, target, target_weight) for one in pred]
            return torch.stack(terms).sum()
        if pred.ndim != 4 or pred.shape != target.shape:
            raise ValueError(
                f'PixelwiseKLLoss: heat maps {tuple(pred.shape)} and target '
                f'{tuple(target.shape)} must both be the same (B, J, H, W); '
                'use networks with equal joints and heat-map sizes, and tap '
                'their last layers'
            )
        if self.detach_target:
            target = target.detach()
        pred = at_least_float32(pred).flatten(2)
        target = at_least_float32(target).flatten(2)
        check_several(
            'PixelwiseKLLoss', pred, 'tap heat maps of several pixels', 2
        )
        if target_weight is not None and self.use_target_weight:
            weight = target_weight.reshape(*pred.shape[:2], 1).to(pred.dtype)
            pred, target = pred * weight, target * weight
        log_p = (pred / self.temperature).log_softmax(-1)
        log_q = (target / self.temperature).log_softmax(-1)
        divergence = (log_q.exp() * (log_q - log_p)).sum()
        scale = self.temperature**2 / (len(pred) * pred.shape[-1])
        return self.loss_weight * scale * divergence
