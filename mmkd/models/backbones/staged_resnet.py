"""mmpretrain's ResNet and ResNeXt with a width of its own for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmpretrain.models.backbones import ResNet, ResNeXt
from mmpretrain.models.backbones.resnet import ResLayer
from torch import nn

from mmkd.registry import MODELS

WIDTHS = (64, 128, 256, 512)


@MODELS.register_module()
class StagedResNet(ResNet):
    """ResNet whose stages have the inner widths ``stage_channels``.

    A stage gives ``expansion`` times its width. With the usual widths it is
    mmpretrain's ``ResNet``, parameter names included; a wide ResNet-50-2 has
    ``stage_channels=(128, 256, 512, 1024), expansion=2``.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stage_channels: inner width of each stage.
        **kwargs: arguments of mmpretrain's ``ResNet``.

    Shape:
        input: (N, 3, H, W).
        returns: tuple of maps, one per entry of ``out_indices``.

    Raises:
        ValueError: not one positive width per stage.
    """

    def __init__(
        self,
        depth: int,
        stage_channels: Sequence[int] = WIDTHS,
        **kwargs: Any,
    ) -> None:
        count = kwargs.get('num_stages', 4)
        if len(stage_channels) != count or min(stage_channels) < 1:
            raise ValueError(
                f'{type(self).__name__}: stage_channels='
                f'{tuple(stage_channels)} are not {count} positive widths; '
                'give `stage_channels` one width per stage'
            )
        self.stage_channels = tuple(stage_channels)  # read while building
        super().__init__(depth, **kwargs)

    def make_res_layer(self, **kwargs: Any) -> nn.Module:
        """Return the next stage."""
        return super().make_res_layer(**self._with_widths(kwargs))

    def _with_widths(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the next stage, with its widths."""
        stage = len(self.res_layers)
        before = self.stem_channels
        if stage:
            before = self.stage_channels[stage - 1] * self.expansion
        after = self.stage_channels[stage] * self.expansion
        return dict(kwargs, in_channels=before, out_channels=after)


@MODELS.register_module()
class StagedResNeXt(StagedResNet, ResNeXt):
    """ResNeXt whose stages have the widths ``stage_channels``.

    A stage of width c has ``groups`` groups of floor(c / 64 *
    ``width_per_group``) channels inside and gives 4 c, as in torchvision; with
    the usual widths it is mmpretrain's ``ResNeXt``.

    Args:
        depth: 50, 101 or 152.
        stage_channels: width of each stage.
        groups: of the 3x3 convolutions.
        width_per_group: channels of a group at width 64.
        **kwargs: arguments of mmpretrain's ``ResNeXt``.

    Raises:
        ValueError: not one positive width per stage, or one that leaves
            nothing for a group.
    """

    def __init__(
        self,
        depth: int,
        stage_channels: Sequence[int] = WIDTHS,
        groups: int = 32,
        width_per_group: int = 4,
        **kwargs: Any,
    ) -> None:
        if min(stage_channels, default=0) * width_per_group < WIDTHS[0]:
            raise ValueError(
                f'StagedResNeXt: stage_channels={tuple(stage_channels)} leave '
                f'no channel for each of {groups} groups (width c has '
                f'floor(c / 64 * {width_per_group}) per group); set wider '
                '`stage_channels`, or compress to fewer students'
            )
        super().__init__(
            depth,
            stage_channels,
            groups=groups,
            width_per_group=width_per_group,
            **kwargs,
        )

    def make_res_layer(self, **kwargs: Any) -> nn.Module:
        """Return the next stage."""
        width = self.stage_channels[len(self.res_layers)]
        return ResLayer(
            groups=self.groups,
            width_per_group=width * self.width_per_group // WIDTHS[0],
            base_channels=width,
            **self._with_widths(kwargs),
        )
