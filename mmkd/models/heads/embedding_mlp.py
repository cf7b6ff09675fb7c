"""Two-layer projection of pooled features."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.registry import MODELS


@MODELS.register_module()
class EmbeddingMLP(nn.Sequential):
    """Linear, ReLU, linear, all of the width of the input (SSKD).

    PyTorch's default initialisation. Used in training only. Student and
    teacher of other widths have a head each: two entries of ``aux_heads``.
    Paper: https://arxiv.org/abs/2006.07114.

    Args:
        in_channels: D.
        out_channels: of the result; None is D.

    Shape:
        input: (N, D), or maps (N, D, h, w), which are averaged first.
        returns: (N, out_channels), not normalised.
    """

    def __init__(
        self, in_channels: int, out_channels: int | None = None
    ) -> None:
        super().__init__(
            nn.Linear(in_channels, in_channels),
            nn.ReLU(inplace=True),
            nn.Linear(in_channels, out_channels or in_channels),
        )
        self.in_channels = in_channels

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        """Return the embeddings.

        Raises:
            ValueError: the features are not of ``in_channels``.
        """
        if feats.ndim not in (2, 4) or feats.shape[1] != self.in_channels:
            raise ValueError(
                f'EmbeddingMLP: in_channels={self.in_channels}, but the '
                f'features are {tuple(feats.shape)}; set in_channels='
                f'{feats.shape[1] if feats.ndim > 1 else "the width"}, or '
                'tap pooled features'
            )
        if feats.ndim == 4:
            feats = feats.mean((2, 3))
        return super().forward(feats)
