"""Logits of several stages, averaged with learned weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS


@MODELS.register_module()
class LogitAggregator(nn.Sequential):
    """Weigh the logits of a network's stages by its features (L-MCL).

    z* = sum_j a_j z_j, a = softmax(Linear(ReLU(Linear([f_1 ... f_S])))), one
    weight per sample and stage. PyTorch's default initialisation. Used in
    training only. Paper: https://arxiv.org/abs/2207.11518.

    Args:
        in_channels: D, width of the features, or the widths of all S stages,
            which must be equal.
        num_stages: S; may be left out where the widths are given.

    Shape:
        feats: list of S tensors (N, D), or (S, N, D).
        logits: list of S tensors (N, K), or (S, N, K).
        returns: (N, K); half precision is summed in float32.

    Raises:
        ValueError: unequal widths, or another number of stages.
    """

    def __init__(
        self, in_channels: int | Sequence[int], num_stages: int | None = None
    ) -> None:
        width, num_stages = _sizes(in_channels, num_stages)
        super().__init__(
            nn.Linear(num_stages * width, width),
            nn.ReLU(),
            nn.Linear(width, num_stages),
        )
        self.in_channels = width
        self.num_stages = num_stages

    def weights(
        self, feats: Sequence[torch.Tensor] | torch.Tensor
    ) -> torch.Tensor:
        """Return the weights (N, S) of the stages; rows sum to 1.

        Raises:
            ValueError: other stages or widths than those of the config.
        """
        found = [tuple(stage.shape) for stage in feats]
        if len(found) != self.num_stages or any(
            len(shape) != 2 or shape[1] != self.in_channels for shape in found
        ):
            raise ValueError(
                f'LogitAggregator: the features must be {self.num_stages} '
                f'tensors (N, {self.in_channels}), got {found}; set '
                'in_channels and num_stages to those of the refined stages'
            )
        scores = super().forward(torch.cat(list(feats), 1))
        return at_least_float32(scores).softmax(1)

    def forward(  # type: ignore[override]
        self,
        feats: Sequence[torch.Tensor] | torch.Tensor,
        logits: Sequence[torch.Tensor] | torch.Tensor,
    ) -> torch.Tensor:
        """Return the aggregated logits.

        Raises:
            ValueError: there are not as many logits as stages.
        """
        weights = self.weights(feats)
        if len(logits) != self.num_stages:
            raise ValueError(
                f'LogitAggregator: {len(logits)} logits of {self.num_stages} '
                'stages; give those of a classifier behind every stage'
            )
        stacked = torch.stack([at_least_float32(z) for z in logits], 1)
        return torch.einsum('ns,nsk->nk', weights.to(stacked), stacked)


def _sizes(
    in_channels: int | Sequence[int], num_stages: int | None
) -> tuple[int, int]:
    """Return width and number of stages."""
    if isinstance(in_channels, int):
        if num_stages is None:
            raise ValueError(
                f'LogitAggregator: in_channels={in_channels} is one width; '
                'set num_stages, too'
            )
        return in_channels, num_stages
    widths = list(in_channels)
    if len(set(widths)) != 1:
        raise ValueError(
            f'LogitAggregator: in_channels={widths} differ; refine all '
            'stages of a network to the width of its last one'
        )
    if num_stages not in (None, len(widths)):
        raise ValueError(
            f'LogitAggregator: num_stages={num_stages}, but in_channels='
            f'{widths} are {len(widths)} stages; set one of them'
        )
    return widths[0], len(widths)
