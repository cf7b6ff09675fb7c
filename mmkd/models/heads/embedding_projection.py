"""One linear layer onto the unit sphere."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class EmbeddingProjection(nn.Linear):
    """Linear layer with bias, then L2 normalisation (MCL-OKD).

    PyTorch's default initialisation. Used in training only. Paper:
    https://arxiv.org/abs/2006.04093.

    Args:
        in_channels: C, width of the features.
        embedding_dim: D, width of the embedding.

    Shape:
        input: (N, C), or maps (N, C, h, w), which are averaged over their
            positions first; (N, C, 1, 1) is thus simply flattened.
        returns: (N, D) unit vectors, float32 for half-precision results.
    """

    def __init__(self, in_channels: int, embedding_dim: int = 128) -> None:
        check_positive('EmbeddingProjection', 128, embedding_dim=embedding_dim)
        super().__init__(in_channels, embedding_dim)

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        """Return unit vectors.

        Raises:
            ValueError: neither (N, C) nor (N, C, h, w), or C is not
                ``in_channels``.
        """
        if feats.ndim not in (2, 4) or feats.shape[1] != self.in_features:
            raise ValueError(
                f'EmbeddingProjection: in_channels={self.in_features}, but '
                f'the features are {tuple(feats.shape)}; set in_channels='
                f'{feats.shape[1] if feats.ndim > 1 else "the width"}, or '
                'tap pooled features'
            )
        if feats.ndim == 4:
            feats = feats.mean((2, 3))
        embeds = at_least_float32(super().forward(feats))
        return functional.normalize(embeds, dim=1)
