"""Projection of pooled features onto the unit sphere."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class ContrastiveEmbedding(nn.Sequential):
    """Linear, ReLU, linear, L2 normalisation.

    PyTorch's default initialisation. Used in training only. Paper:
    https://arxiv.org/abs/2104.12565.

    Args:
        in_channels: D, width of the features.
        feat_dim: d, width of the embedding.

    Shape:
        input: (N, D), or maps (N, D, h, w), which are averaged over their
            positions first; (N, D, 1, 1) is thus simply flattened.
        returns: (N, d) unit vectors; half-precision results are normalised,
            and returned, in float32.
    """

    def __init__(self, in_channels: int, feat_dim: int = 128) -> None:
        check_positive('ContrastiveEmbedding', 128, feat_dim=feat_dim)
        super().__init__(
            nn.Linear(in_channels, feat_dim),
            nn.ReLU(inplace=True),
            nn.Linear(feat_dim, feat_dim),
        )
        self.in_channels = in_channels
        self.feat_dim = feat_dim

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        """Return unit vectors.

        Raises:
            ValueError: neither (N, D) nor (N, D, h, w), or D is not
                ``in_channels``.
        """
        if feats.ndim not in (2, 4):
            raise ValueError(
                'ContrastiveEmbedding: expected features (N, D) or (N, D, h, '
                f'w), got {tuple(feats.shape)}; choose a tap that records '
                'feature maps or pooled features'
            )
        if feats.shape[1] != self.in_channels:
            raise ValueError(
                f'ContrastiveEmbedding: in_channels={self.in_channels}, but '
                f'the features are {tuple(feats.shape)}; set '
                f'in_channels={feats.shape[1]}'
            )
        if feats.ndim == 4:
            feats = feats.mean((2, 3))
        embeds = at_least_float32(super().forward(feats))
        return functional.normalize(embeds, dim=1)
