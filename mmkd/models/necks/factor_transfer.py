"""Paraphraser and translator of factor transfer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from mmkd.registry import MODELS

SLOPE = 0.1


def _layers(
    widths: list[int], batch_norm: bool, transposed: bool = False
) -> Iterator[nn.Module]:
    conv = nn.ConvTranspose2d if transposed else nn.Conv2d
    for before, after in zip(widths, widths[1:], strict=False):
        yield conv(before, after, 3, padding=1)
        if batch_norm:
            yield nn.BatchNorm2d(after)
        yield nn.LeakyReLU(SLOPE)


@MODELS.register_module()
class Paraphraser(nn.Module):
    """Autoencoder of the teacher's map; its code is the teacher's factor.

    Three 3x3 convolutions C -> C -> F -> F, each with LeakyReLU(0.1) and no
    batch norm; the decoder mirrors them with transposed convolutions. Paper:
    https://arxiv.org/abs/1802.04977.

    Args:
        in_channels: C.
        factor_channels: F; None is C // 2.

    Shape:
        input: (N, C, H, W).
        returns: code (N, F, H, W); `reconstruct` gives (N, C, H, W).
    """

    def __init__(
        self, in_channels: int, factor_channels: int | None = None
    ) -> None:
        super().__init__()
        inner = factor_channels or in_channels // 2
        widths = [in_channels, in_channels, inner, inner]
        self.encoder = nn.Sequential(*_layers(widths, batch_norm=False))
        self.decoder = nn.Sequential(
            *_layers(widths[::-1], batch_norm=False, transposed=True)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the code."""
        return self.encoder(maps)

    def reconstruct(self, maps: torch.Tensor) -> torch.Tensor:
        """Return what the decoder makes of the code."""
        return self.decoder(self.encoder(maps))


@MODELS.register_module()
class Translator(nn.Sequential):
    """The student's map to its factor: as the encoder, with batch norm.

    Args:
        in_channels: channels C_s of the student.
        factor_channels: F, as in the teacher's `Paraphraser`.

    Shape:
        input: (N, C_s, H, W).
        returns: (N, F, H, W).
    """

    def __init__(self, in_channels: int, factor_channels: int) -> None:
        widths = [in_channels, in_channels, factor_channels, factor_channels]
        super().__init__(*_layers(widths, batch_norm=True))
