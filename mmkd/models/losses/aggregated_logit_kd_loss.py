"""Logit distillation from the aggregated logits of all peers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive

Logits = Sequence[torch.Tensor] | torch.Tensor


@MODELS.register_module()
class AggregatedLogitKDLoss(nn.Module):
    """Pull the final logits of every peer to all aggregated logits.

    loss = sum_{i, j} T^2 mean_n KL(softmax(z*_j / T) || softmax(z_i / T)),

    j = i included; z* is what `LogitAggregator` gives, detached.
    Paper: https://arxiv.org/abs/2207.11518.

    Args:
        temperature: T.
        loss_weight: factor on the returned value.

    Shape:
        final_logits: list of N tensors (B, K), or (N, B, K).
        aggregated: likewise.
        returns: scalar. Half precision is computed in float32.

    Raises:
        ValueError: a temperature not positive.
    """

    def __init__(
        self, temperature: float = 3.0, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        check_positive('AggregatedLogitKDLoss', 3.0, temperature=temperature)
        self.divergence = KLDivLoss(temperature, loss_weight)

    def forward(
        self, final_logits: Logits, aggregated: Logits
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: no logits, or logits of different shapes.
        """
        learners = [at_least_float32(logits) for logits in final_logits]
        targets = [at_least_float32(logits) for logits in aggregated]
        shapes = [tuple(logits.shape) for logits in (*learners, *targets)]
        if len(learners) != len(targets) or len(set(shapes)) != 1:
            raise ValueError(
                'AggregatedLogitKDLoss: final_logits and aggregated must be '
                'of the same peers and have one shape (B, K), got '
                f'{shapes[: len(learners)]} and {shapes[len(learners) :]}; '
                'set the same num_classes in all peers'
            )
        pairs = [(z, t) for z in learners for t in targets]
        return self.divergence([z for z, _ in pairs], [t for _, t in pairs])
