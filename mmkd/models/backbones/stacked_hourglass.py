"""The stacked hourglass network (Newell et al.)."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule, ModuleList

from mmkd.models.backbones.hourglass import (
    HourglassStack,
    HourglassStem,
    check_hourglass,
    check_image_size,
)
from mmkd.registry import MODELS


@MODELS.register_module()
class StackedHourglass(BaseModule):
    """Stacks that each give heat maps, and hand them to the next.

    The layers that give heat maps are inside: in mmpose a head without
    parameters follows, ``CPMHead(num_stages=n, final_layer=None,
    deconv_out_channels=None)``. mmpose's ``HourglassNet`` is another
    network. Weights start as PyTorch's. Papers:
    https://arxiv.org/abs/1603.06937, https://arxiv.org/abs/2108.02092.

    Args:
        num_stacks: n.
        feat_channels: F; the stem has F/4, F/2, F.
        out_channels: J, the joints.
        depth: how often an hourglass halves its maps.
        upsample_to_skip: allow sides that are not divisible by 2^depth.
        init_cfg: see mmengine's BaseModule.

    Attributes:
        stage_names: ``stem`` and every stack, for sharing
            (`mmkd.models.cohorts.stages`).

    Shape:
        input: (N, 3, 4H, 4W), H and W divisible by 2^depth.
        returns: list of n heat maps (N, J, H, W), the last one is the
            network's.

    Raises:
        ValueError: a setting or an image size does not fit.
    """

    def __init__(
        self,
        num_stacks: int = 4,
        feat_channels: int = 256,
        out_channels: int = 16,
        depth: int = 4,
        upsample_to_skip: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_hourglass(
            'StackedHourglass',
            feat_channels,
            depth,
            num_stacks=num_stacks,
            out_channels=out_channels,
        )
        self.num_stacks = num_stacks
        self.depth = depth
        self.upsample_to_skip = upsample_to_skip
        self.stem = HourglassStem(feat_channels)
        self.stacks = ModuleList(
            HourglassStack(
                feat_channels,
                out_channels,
                index == num_stacks - 1,
                depth,
                upsample_to_skip,
            )
            for index in range(num_stacks)
        )

    @property
    def stage_names(self) -> list[tuple[str, ...]]:
        """Module names of the stem, then of every stack."""
        return [('stem',), *((f'stacks.{k}',) for k in range(self.num_stacks))]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        feats = self.stem(images)
        check_image_size(
            type(self).__name__,
            images,
            feats,
            self.depth,
            self.upsample_to_skip,
        )
        heatmaps = []
        for stack in self.stacks:
            feats, found = stack(feats)
            heatmaps.append(found)
        return heatmaps
