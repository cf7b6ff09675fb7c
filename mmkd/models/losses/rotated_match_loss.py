"""Which image is a rotated one? The pretext task of SSKD."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.models.losses.sskd_loss import rotated_similarities
from mmkd.registry import MODELS


@MODELS.register_module()
class RotatedMatchLoss(nn.Module):
    """Find the upright image of every rotated one (SSKD, first phase).

    Cross entropy over the cosine similarities of each rotated row with all N
    upright ones, mean over the (R - 1) N rotated rows. It trains the
    teacher's head whose similarities the student imitates later
    (`SSKDLoss`). Paper: https://arxiv.org/abs/2006.07114.

    Args:
        num_rotations: R >= 2, as in the views.
        loss_weight: factor on the returned value.

    Shape:
        embeds: (R N, D), image-major as `RotationViews` gives them. Half
            precision is computed in float32.
        returns: scalar.
    """

    def __init__(
        self, num_rotations: int = 4, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if num_rotations < 2:
            raise ValueError(
                f'RotatedMatchLoss: num_rotations={num_rotations} must be at '
                'least 2; set it as in the views'
            )
        self.num_rotations = num_rotations
        self.loss_weight = loss_weight

    def forward(self, embeds: torch.Tensor) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: not R rows per image.
        """
        turns = self.num_rotations
        if embeds.ndim != 2 or len(embeds) % turns:
            raise ValueError(
                f'RotatedMatchLoss: embeddings {tuple(embeds.shape)} are not '
                f"{turns} rows per image; set views=dict(type='mmkd."
                f"RotationViews', num_rotations={turns})"
            )
        with no_autocast(embeds):
            views = at_least_float32(embeds).unflatten(0, (-1, turns))
            rotated = views[:, 1:].flatten(0, 1)
            scores = rotated_similarities(rotated, views[:, 0])
            image = torch.arange(len(views), device=embeds.device)
            return self.loss_weight * functional.cross_entropy(
                scores, image.repeat_interleave(turns - 1)
            )
