"""Tells the feature maps of two networks apart (AFD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive

_OWNER = 'FeatureMapDiscriminator'

#: what is known of the published discriminator, in two readings
PRESETS: dict[str, dict[str, Any]] = dict(
    # of its description: a score for every position
    score_map=dict(
        kernel_size=3,
        strides=(1, 1),
        padding=1,
        width=1.0,
        negative_slope=0.2,
        bias=False,
    ),
    # of a re-implementation: one score for a 4x4 map
    single_score=dict(
        kernel_size=2,
        strides=(1, 2),
        padding=0,
        width=0.5,
        negative_slope=0.01,
        bias=True,
    ),
)


@MODELS.register_module()
class FeatureMapDiscriminator(nn.Module):
    """Convolution, BN, LeakyReLU, convolution, sigmoid.

    Initialised as usual for adversarial training: convolutions N(0, 0.02),
    BN weights N(1, 0.02), biases 0. Paper:
    https://arxiv.org/abs/2002.01775; its layer sizes are not published.

    Args:
        in_channels: C.
        hidden_channels: width between the convolutions; None is that of the
            preset, a share of C.
        negative_slope: of LeakyReLU.
        kernel_size: of both convolutions.
        strides: of the first and of the second.
        padding: of both.
        bias: of the first convolution; the second has one.
        norm: False leaves BN out.
        preset: values of what is None. ``'score_map'`` (the default): 3x3,
            padding 1, C hidden channels, slope 0.2, no bias: (N, 1, H, W).
            ``'single_score'`` (that of ``kernel_size=2``): 2x2, strides 1
            and 2, no padding, C / 2, slope 0.01, bias: (N, 1, 1, 1) of 4x4
            maps.

    Shape:
        input: (N, C, H, W).
        returns: scores in (0, 1), (N, 1, H', W').

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int | None = None,
        negative_slope: float | None = None,
        kernel_size: int | None = None,
        strides: Sequence[int] | None = None,
        padding: int | None = None,
        bias: bool | None = None,
        norm: bool = True,
        preset: str | None = None,
    ) -> None:
        super().__init__()
        if preset is None:
            preset = 'single_score' if kernel_size == 2 else 'score_map'
        if preset not in PRESETS:
            raise ValueError(
                f'{_OWNER}: preset={preset!r}; choose one of '
                f'{", ".join(PRESETS)}'
            )
        usual = PRESETS[preset]
        given: dict[str, Any] = dict(
            negative_slope=negative_slope,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            bias=bias,
        )
        chosen = {k: usual[k] if v is None else v for k, v in given.items()}
        if hidden_channels is None:
            hidden_channels = max(1, int(in_channels * usual['width']))
        if isinstance(strides, int) or len(chosen['strides']) != 2:
            raise ValueError(
                f'{_OWNER}: strides={strides} must be two numbers, of the '
                'first and of the second convolution, e.g. (1, 2)'
            )
        if chosen['padding'] < 0:
            raise ValueError(
                f'{_OWNER}: padding={padding} must not be negative; set e.g. '
                'padding=0'
            )
        kernel, steps = chosen['kernel_size'], tuple(chosen['strides'])
        check_positive(
            _OWNER,
            1,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            kernel_size=kernel,
            strides=min(steps),
        )
        self.in_channels = in_channels
        self.settings = (kernel, steps, chosen['padding'])
        self.conv1 = nn.Conv2d(
            in_channels,
            hidden_channels,
            kernel,
            steps[0],
            chosen['padding'],
            bias=chosen['bias'],
        )
        self.norm: nn.Module = (
            nn.BatchNorm2d(hidden_channels) if norm else nn.Identity()
        )
        self.act = nn.LeakyReLU(chosen['negative_slope'])
        self.conv2 = nn.Conv2d(
            hidden_channels, 1, kernel, steps[1], chosen['padding']
        )
        self._reset()

    def _reset(self) -> None:
        for conv in (self.conv1, self.conv2):
            nn.init.normal_(conv.weight, 0.0, 0.02)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        if isinstance(self.norm, nn.BatchNorm2d):
            nn.init.normal_(self.norm.weight, 1.0, 0.02)
            nn.init.zeros_(self.norm.bias)

    def score_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the scores of such maps.

        Raises:
            ValueError: the maps are too small.
        """
        kernel, steps, padding = self.settings
        size = (height, width)
        for stride in steps:
            high, wide = ((s + 2 * padding - kernel) // stride for s in size)
            size = (high + 1, wide + 1)
        if min(size) < 1:
            raise ValueError(
                f'{_OWNER}: feature maps of {height}x{width} are too small '
                f'for kernel_size={kernel}, strides={steps}, padding='
                f'{padding}: give a smaller kernel, padding=1, or maps of an '
                'earlier stage'
            )
        return size

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the scores.

        Raises:
            ValueError: not maps of ``in_channels``, or too small or too few
                ones.
        """
        if maps.ndim != 4 or maps.shape[1] != self.in_channels:
            raise ValueError(
                f'{_OWNER}: in_channels={self.in_channels}, but the maps are '
                f'{tuple(maps.shape)}; give (N, {self.in_channels}, H, W), or '
                'the right in_channels'
            )
        self.score_size(int(maps.shape[2]), int(maps.shape[3]))
        hidden = self.conv1(maps)
        alone = self.training and hidden[:, 0].numel() == 1
        if alone and isinstance(self.norm, nn.BatchNorm2d):
            raise ValueError(
                f'{_OWNER}: batch norm has no statistics of one image with '
                '1x1 maps; use a batch_size of at least 2 (and '
                'drop_last=True), or norm=False'
            )
        hidden = self.act(self.norm(hidden))
        return self.conv2(hidden).sigmoid()
