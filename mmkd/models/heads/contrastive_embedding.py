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
    https://arxiv.org/abs/2104.12565. With ``num_layers=1`` it is the neck
    of MoCo v1, with ``hidden_channels`` = D that of MoCo v2.

    Args:
        in_channels: D, width of the features.
        feat_dim: d, width of the embedding.
        hidden_channels: width between the layers; None is ``feat_dim``.
        num_layers: linear layers, with a ReLU between them.

    Shape:
        input: (N, D), or maps (N, D, h, w), which are averaged over their
            positions first; (N, D, 1, 1) is thus simply flattened.
        returns: (N, d) unit vectors; half-precision results are normalised,
            and returned, in float32.
    """

    def __init__(
        self,
        in_channels: int,
        feat_dim: int = 128,
        hidden_channels: int | None = None,
        num_layers: int = 2,
    ) -> None:
        name = 'ContrastiveEmbedding'
        check_positive(name, 128, feat_dim=feat_dim)
        check_positive(name, 2, num_layers=num_layers)
        hidden = feat_dim if hidden_channels is None else hidden_channels
        check_positive(name, feat_dim, hidden_channels=hidden)
        widths = [in_channels, *[hidden] * (num_layers - 1), feat_dim]
        layers: list[nn.Module] = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])
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
