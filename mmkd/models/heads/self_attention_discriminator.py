"""The discriminator of adversarial segmentation distillation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmkd.models.heads.projection_head import build_norm
from mmkd.models.heads.spectral_conv import SpectralConv2d
from mmkd.registry import MODELS

SMALLEST = 64


class SelfAttention2d(nn.Module):
    """gamma * (softmax over keys of q^T k) v + x, with gamma from 0.

    Args:
        channels: C; queries and keys have C / 8.

    Shape:
        maps: (N, C, h, w); returns the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps with what they attend to."""
        query, key, value = (
            layer(maps).flatten(2)
            for layer in (self.query, self.key, self.value)
        )
        # not torch's fused attention: a gradient penalty differentiates
        # twice
        weights = (query.mT @ key).softmax(2)
        attended = (value @ weights.mT).view_as(maps)
        return self.gamma * attended + maps


@MODELS.register_module()
class SelfAttentionDiscriminator(nn.Module):
    """Scores of logit maps: convolutions and self-attention.

    Batch norm; spectrally normalised 4x4 convolutions of stride 2, K -> 64
    -> 128 -> 256, LeakyReLU(0.1); self-attention; one more, 256 -> 512;
    self-attention; a plain 4x4 convolution 512 -> 1 without padding. 3.19 M
    parameters at K = 19. Used in training only, by `AdversarialLoss`. Paper:
    https://arxiv.org/abs/1903.04197.

    Args:
        in_channels: K.
        norm_cfg: normalisation of the logits, ``dict(type='SyncBN')`` on
            several GPUs; None is plain batch normalisation.
        upsample_to: logits whose short side is smaller are enlarged to this
            number, bilinearly; at least 64.

    Shape:
        logits: (N, K, h, w), h and w at least 64 (or ``upsample_to``).
        returns: (N, 1, h // 16 - 3, w // 16 - 3).

    Raises:
        ValueError: smaller logits, or of other channels.
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: dict[str, Any] | None = None,
        upsample_to: int | None = None,
    ) -> None:
        super().__init__()
        if upsample_to is not None and upsample_to < SMALLEST:
            raise ValueError(
                f'SelfAttentionDiscriminator: upsample_to={upsample_to} is '
                f'too small; set upsample_to={SMALLEST} or more'
            )
        self.in_channels = in_channels
        self.upsample_to = upsample_to
        self.norm = build_norm(norm_cfg, in_channels)
        self.conv1 = _half(in_channels, 64)
        self.conv2 = _half(64, 128)
        self.conv3 = _half(128, 256)
        self.attention1 = SelfAttention2d(256)
        self.conv4 = _half(256, 512)
        self.attention2 = SelfAttention2d(512)
        self.last = nn.Conv2d(512, 1, 4)
        self.activate = nn.LeakyReLU(0.1)

    def forward(self, logits: Tensor) -> Tensor:
        """Return the scores."""
        if logits.shape[1] != self.in_channels:
            raise ValueError(
                f'discriminator.in_channels={self.in_channels}, but the '
                f'logits {tuple(logits.shape)} are of {logits.shape[1]} '
                f'classes; set in_channels={logits.shape[1]}, or leave it out'
            )
        x = self.norm(self._enlarged(logits))
        for conv in (self.conv1, self.conv2, self.conv3):
            x = self.activate(conv(x))
        x = self.attention1(x)
        x = self.attention2(self.activate(self.conv4(x)))
        return self.last(x)

    def _enlarged(self, logits: Tensor) -> Tensor:
        height, width = logits.shape[2:]
        short = min(height, width)
        if self.upsample_to is not None and short < self.upsample_to:
            factor = self.upsample_to / short
            size = (round(height * factor), round(width * factor))
            return functional.interpolate(
                logits, size, mode='bilinear', align_corners=False
            )
        if short < SMALLEST:
            raise ValueError(
                f'discriminator needs logits of at least {SMALLEST}x'
                f'{SMALLEST}, got {height}x{width}; set upsample_to='
                f'{SMALLEST} or adversarial=None: upsample_to of the '
                'discriminator enlarges them; without the adversarial loss '
                'there is none'
            )
        return logits


def _half(in_channels: int, out_channels: int) -> SpectralConv2d:
    return SpectralConv2d(in_channels, out_channels, 4, stride=2, padding=1)
