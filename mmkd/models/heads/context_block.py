"""Global context added to student features before they are compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from mmkd.models.heads.projection_head import build_norm
from mmkd.registry import MODELS


@MODELS.register_module()
class ContextBlock(nn.Module):
    """Self-attention over all positions, merged with its input.

    context = ReLU(BN(conv(softmax(q^T k / sqrt(C/2)) v))) with q, k, v =
    1x1 convolutions C -> C/2; output = ReLU(BN(conv([x, context]))), a 1x1
    convolution 2C -> C. No biases in the convolutions. The student-side head
    of CIRKDv2 (technical report, 2025), training only.

    Args:
        in_channels: C, even.
        norm_cfg: normalisation as in mmcv, ``dict(type='SyncBN')`` on
            several GPUs; None is plain batch normalisation.

    Shape:
        feats: (N, C, h, w); returns the same.
    """

    def __init__(
        self, in_channels: int, norm_cfg: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        if in_channels % 2:
            raise ValueError(
                f'ContextBlock: in_channels={in_channels} must be even, since '
                'queries, keys and values have half as many'
            )
        half = in_channels // 2
        self.query = nn.Conv2d(in_channels, half, 1, bias=False)
        self.key = nn.Conv2d(in_channels, half, 1, bias=False)
        self.value = nn.Conv2d(in_channels, half, 1, bias=False)
        self.context = _conv_norm_relu(half, in_channels, norm_cfg)
        self.merge = _conv_norm_relu(2 * in_channels, in_channels, norm_cfg)

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        """Return the features with context."""
        query, key, value = (
            layer(feats).flatten(2).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = scaled_dot_product_attention(query, key, value)
        context = mixed.transpose(1, 2).unflatten(2, feats.shape[2:])
        return self.merge(torch.cat([feats, self.context(context)], dim=1))


def _conv_norm_relu(
    in_channels: int, out_channels: int, norm_cfg: dict[str, Any] | None
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        build_norm(norm_cfg, out_channels),
        nn.ReLU(inplace=True),
    )
