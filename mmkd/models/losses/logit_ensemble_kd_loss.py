"""Logit distillation from the mean of all peers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive

TARGETS = ('all', 'last')


@MODELS.register_module()
class LogitEnsembleKDLoss(nn.Module):
    """Pull peers to the softened distribution of their mean logits.

    loss = sum_m T^2 mean_n KL(softmax(z_mean / T) || softmax(z_m / T)),

    z_mean the mean of the logits of all peers, m all peers or the last one.
    Paper: https://arxiv.org/abs/2104.12565 ("Logit KD" of its code; which
    trains both peers of two, and the last of four).

    Args:
        temperature: T.
        targets: peers that learn: 'all', or only the 'last'.
        detach_target: stop the gradient through the mean; the published
            ImageNet script does not.
        loss_weight: factor on the returned value.
        sigmoid: for heads with one output, see `KLDivLoss`.

    Shape:
        logits: list of M tensors (N, K, ...).
        returns: scalar. Half precision is computed in float32.

    Raises:
        ValueError: unknown ``targets``, or a temperature not positive.
    """

    def __init__(
        self,
        temperature: float = 3.0,
        targets: str = 'all',
        detach_target: bool = True,
        loss_weight: float = 1.0,
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        check_positive('LogitEnsembleKDLoss', 3.0, temperature=temperature)
        if targets not in TARGETS:
            raise ValueError(
                f'LogitEnsembleKDLoss: targets={targets!r} is unknown; '
                f'choose one of {TARGETS}'
            )
        self.targets = targets
        self.divergence = KLDivLoss(
            temperature,
            loss_weight,
            detach_target=detach_target,
            sigmoid=sigmoid,
        )

    def forward(
        self, logits: Sequence[torch.Tensor] | torch.Tensor
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: no logits, or logits of different shapes.
        """
        peers = [at_least_float32(peer) for peer in logits]
        shapes = [tuple(peer.shape) for peer in peers]
        if not shapes or len(set(shapes)) > 1:
            raise ValueError(
                'LogitEnsembleKDLoss: the logits of all peers must have one '
                f'shape (N, K, ...), got {shapes}; set the same num_classes '
                'in all peers'
            )
        mean = torch.stack(peers).mean(0)
        learners = peers if self.targets == 'all' else peers[-1:]
        return self.divergence(learners, [mean] * len(learners))
