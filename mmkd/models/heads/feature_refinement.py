"""Features of early stages, made as meaningful as those of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleList
from torch import nn

from mmkd.models.cohorts.stages import stage_groups
from mmkd.models.heads.backbone_calls import Call, channel_dim, record_calls
from mmkd.models.heads.backbone_rest import (
    keep_first_blocks,
    require_running,
    rest_behind,
)
from mmkd.models.heads.hierarchical_branches import pooled, stage_ends
from mmkd.registry import MODELS

FULL = 'full'
OWNER = 'FeatureRefinement'


@MODELS.register_module()
class FeatureRefinement(BaseModule):
    """Run the map of every early stage through stages of its own (L-MCL).

    Module j has new layers of the design of all that the backbone does
    behind stage j; pooled, its map is as wide as the network's own features,
    which are passed on as those of the last stage. The backbone may be any
    whose forward is a chain of modules. Weights start as the backbone's do.
    Used in training only. Paper: https://arxiv.org/abs/2207.11518.

    Args:
        stages: names of the modules that end the S - 1 refined stages, in
            order, e.g. ``['layer1', 'layer2']``; the taps are on them.
            ``'auto'``: all stages but the last.
        stage_depths: blocks of every remaining stage: ``'full'`` as many as
            the backbone has (CIFAR), or the first so many (ImageNet ResNets:
            1); a list says it for every module.
        backbone: the built backbone; given by the distiller.
        init_cfg: see mmengine's BaseModule.

    Shape:
        maps: list of S - 1 maps (N, C_l, H_l, W_l), or tokens.
        feats: (N, D), pooled features of the network.
        returns: list of S tensors (N, D).

    Raises:
        ValueError: the stages are unknown, the maps are not theirs, or a
            refined feature has another width than the network's.
    """

    def __init__(
        self,
        stages: str | Sequence[str] = 'auto',
        stage_depths: int | str | Sequence[int | str] = FULL,
        backbone: nn.Module | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if backbone is None:
            raise ValueError(
                f'{OWNER}: backbone=None; give the built backbone (as an '
                'auxiliary head it gets that of its network)'
            )
        self.family = type(backbone).__name__
        calls, self.out_channels = record_calls(backbone, OWNER)
        direct = [call for call in calls if call.direct]
        ends = stage_ends(backbone, direct, stages, OWNER)
        if isinstance(stages, str):
            ends = ends[:-1]
        if not ends or ends[-1] == len(direct) - 1:
            raise ValueError(
                f'{OWNER}: stages={stages!r} leaves nothing of '
                f'{self.family} to refine with; name the modules that end '
                'the stages before the last one'
            )
        self.tap_names = [
            direct[end].name + '[0]' * direct[end].with_size for end in ends
        ]
        self.in_channels = [direct[end].channels for end in ends]
        depths = _depths(stage_depths, len(ends))
        self.rests = ModuleList()
        for end, depth in zip(ends, depths, strict=True):
            rest = rest_behind(backbone, direct, end)
            if depth is not None:
                for group in _stages_behind(backbone, direct[end + 1 :]):
                    keep_first_blocks(rest, backbone, group, calls, depth)
            require_running(rest, direct[end], self.family, OWNER)
            self.rests.append(rest)

    def forward(
        self, maps: Sequence[torch.Tensor], feats: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return the features of all stages."""
        if isinstance(maps, torch.Tensor):
            maps = [maps]
        channels = [int(m.shape[channel_dim(m.dim())]) for m in maps]
        if channels != self.in_channels:
            taps = ', '.join(f"'backbone.{name}'" for name in self.tap_names)
            raise ValueError(
                f'{OWNER}: {len(channels)} maps of {channels} channels, but '
                f'the {len(self.in_channels)} refined stages of '
                f'{self.family} give {self.in_channels}: tap what the stages '
                f'give, [{taps}], or set stages'
            )
        if feats.dim() != 2 or feats.shape[1] != self.out_channels:
            raise ValueError(
                f'{OWNER}: the features of the network must be (N, '
                f'{self.out_channels}), as wide as the refined ones, got '
                f'{tuple(feats.shape)}; tap what pooling gives, e.g. '
                "feats='neck'"
            )
        refined = zip(self.rests, maps, strict=True)
        return [*(pooled(rest(given)) for rest, given in refined), feats]


def _depths(
    given: int | str | Sequence[int | str], count: int
) -> list[int | None]:
    """Return blocks per stage of every module; None is all of them."""
    if isinstance(given, (int, str)):
        given = [given] * count
    if len(given) != count:
        raise ValueError(
            f'{OWNER}: stage_depths={list(given)} has {len(given)} entries '
            f'for {count} refined stages; give one number, or one for each'
        )
    depths: list[int | None] = []
    for depth in given:
        if depth != FULL and not (isinstance(depth, int) and depth > 0):
            raise ValueError(
                f"{OWNER}: stage_depths={depth!r}; write 'full' or a number "
                'of blocks from 1'
            )
        depths.append(None if depth == FULL else int(depth))
    return depths


def _stages_behind(
    backbone: nn.Module, behind: Sequence[Call]
) -> list[list[Call]]:
    """Return the calls of every remaining stage."""
    names = {call.name: call for call in behind}
    groups = stage_groups(backbone)
    count = getattr(backbone, 'num_stages', len(groups))
    found = [
        [names[name] for name in group if name in names]
        for group in groups[1 : 1 + count]
    ]
    return [group for group in found if group]
