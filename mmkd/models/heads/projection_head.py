"""Projection of student features into the teacher's embedding space."""

from __future__ import annotations

from typing import Any

from torch import nn

from mmkd.registry import MODELS


@MODELS.register_module()
class ProjectionHead(nn.Sequential):
    """1x1 convolution, normalisation, ReLU, 1x1 convolution; no biases.

    PyTorch's default initialisation. Used in training only. Paper:
    https://arxiv.org/abs/2204.06986.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        hidden_channels: channels between the convolutions; None takes
            ``out_channels``.
        norm_cfg: normalisation layer as in mmcv, e.g. ``dict(type='SyncBN')``
            on several GPUs; None is plain batch normalisation.

    Shape:
        input: (N, in_channels, h, w).
        returns: (N, out_channels, h, w).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int | None = None,
        norm_cfg: dict[str, Any] | None = None,
    ) -> None:
        hidden = out_channels if hidden_channels is None else hidden_channels
        super().__init__(
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            build_norm(norm_cfg, hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
        )


def build_norm(norm_cfg: dict[str, Any] | None, channels: int) -> nn.Module:
    """Return the layer ``norm_cfg`` stands for; None is BatchNorm2d."""
    if norm_cfg is None:
        return nn.BatchNorm2d(channels)
    from mmcv.cnn import build_norm_layer  # heavy; only when asked for

    return build_norm_layer(norm_cfg, channels)[1]
