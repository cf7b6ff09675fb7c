"""Branch classifiers behind every stage of a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import nn

from mmkd.models.cohorts.stages import stage_groups
from mmkd.models.heads.backbone_calls import Call, channel_dim, record_calls
from mmkd.models.heads.backbone_rest import (
    makes_stages,
    require_running,
    rest_behind,
    shape_keeping_stage,
)
from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS

_KAIMING = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='BatchNorm2d', val=1.0, bias=0.0),
]
# Where the published branches start otherwise than their backbone does.
_BRANCH_INIT: dict[str, Any] = dict(CIFARVGG=None, CIFARShuffleNetV1=_KAIMING)
_ZERO_BIAS = (
    'CIFARResNet',
    'CIFARWideResNet',
    'CIFARShuffleNetV1',
    'CIFARMobileNetV2',
)


@MODELS.register_module()
class HierarchicalBranches(BaseModule):
    """Classify each stage's map into class x rotation (HSAKD).

    Branch l has new layers of the design of stages l+1 to L; the last branch
    has one more stage like stage L, which keeps width and resolution. What
    the backbone does behind its last stage, average pooling and a linear
    layer follow. The backbone may be any whose forward is a chain of
    modules. Papers: https://arxiv.org/abs/2107.13715,
    https://arxiv.org/abs/2109.03075.

    Args:
        num_classes: C.
        num_rotations: R, as in `RotationViews`.
        stages: names of the modules that end the stages, in order, e.g.
            ``['layer1', 'layer2', 'layer3']``; the taps are on them.
            ``'auto'``: the last stage of every resolution.
        backbone: the built backbone; given by the distiller.
        branch_gradient: False keeps the branches' gradient from the
            backbone.
        init_cfg: see mmengine's BaseModule.

    Shape:
        input: list of L maps (N, C_l, H_l, W_l), or tokens (N, H*W, C_l).
        returns: list of L joint logits (N, R*C); entry ``c * R + r`` is
            class c turned r times. Half-precision maps are pooled in
            float32.

    Raises:
        ValueError: the stages are unknown, or the maps are not theirs.
    """

    def __init__(
        self,
        num_classes: int,
        num_rotations: int = 4,
        stages: str | Sequence[str] = 'auto',
        backbone: nn.Module | None = None,
        branch_gradient: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 1 or not 1 <= num_rotations <= 4:
            raise ValueError(
                f'HierarchicalBranches: num_classes={num_classes}, '
                f'num_rotations={num_rotations}; set num_classes of the data '
                'set and num_rotations from 1 to 4'
            )
        if backbone is None:
            raise ValueError(
                'HierarchicalBranches: backbone=None; give the built '
                'backbone (as an auxiliary head it gets that of its network)'
            )
        self.num_classes = num_classes
        self.num_rotations = num_rotations
        self.branch_gradient = branch_gradient
        self.family = type(backbone).__name__
        calls, out_channels = record_calls(backbone)
        direct = [call for call in calls if call.direct]
        ends = stage_ends(backbone, direct, stages)
        self.stage_names = [direct[end].name for end in ends]
        self.tap_names = [
            name + '[0]' * direct[end].with_size
            for name, end in zip(self.stage_names, ends, strict=True)
        ]
        self.in_channels = [direct[end].channels for end in ends]

        self.branches = ModuleList(
            rest_behind(backbone, direct, end) for end in ends[:-1]
        )
        before = ends[-2] if len(ends) > 1 else -1
        last = rest_behind(backbone, direct, before)
        stage = direct[before + 1 : ends[-1] + 1]
        stage = _own_stage(backbone, stage)
        shape_keeping_stage(backbone, last, stage, calls)
        self.branches.append(last)
        if self.family in _BRANCH_INIT:
            for branch in self.branches:
                branch.init_cfg = _BRANCH_INIT[self.family]
        for branch, end in zip(self.branches, ends, strict=True):
            require_running(branch, direct[end], self.family)
        joint = num_classes * num_rotations
        self.fcs = ModuleList(nn.Linear(out_channels, joint) for _ in ends)
        self._init_fcs()

    def init_weights(self) -> None:
        """Draw the weights as published (see ``docs/hssakd.md``)."""
        super().init_weights()
        self._init_fcs()

    def _init_fcs(self) -> None:
        for fc in self.fcs:
            fc.reset_parameters()
            if self.family == 'CIFARMobileNetV2':
                nn.init.normal_(fc.weight, 0, 0.01)
            if self.family in _ZERO_BIAS:
                nn.init.zeros_(fc.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the joint logits of all branches."""
        if isinstance(maps, torch.Tensor):
            maps = [maps]
        channels = [int(m.shape[channel_dim(m.dim())]) for m in maps]
        if channels != self.in_channels:
            taps = ', '.join(f"'backbone.{name}'" for name in self.tap_names)
            raise ValueError(
                f'HierarchicalBranches: {len(channels)} maps of '
                f'{channels} channels, but the {len(self.in_channels)} '
                f'stages of {self.family} give {self.in_channels}: tap what '
                f'the stages give, [{taps}], or set stages'
            )
        logits = []
        for branch, fc, feats in zip(
            self.branches, self.fcs, maps, strict=True
        ):
            given = feats if self.branch_gradient else feats.detach()
            logits.append(fc(pooled(branch(given))))
        return logits


def pooled(feats: Any) -> torch.Tensor:
    """Return the mean over positions of the last map, (N, C)."""
    while isinstance(feats, (tuple, list)):
        feats = feats[-1]
    if feats.dim() == 2:
        return feats
    if feats.dim() == 3:
        return at_least_float32(feats).mean(1).to(feats.dtype)
    # unlike mean, its gradient keeps the memory format
    return F.avg_pool2d(feats, feats.shape[2:]).flatten(1)


def class_logits(joint: torch.Tensor, num_rotations: int = 4) -> torch.Tensor:
    """Sum joint logits (N, R*C) over the rotations, giving (N, C)."""
    return joint.unflatten(1, (-1, num_rotations)).sum(2)


def stage_ends(
    backbone: nn.Module,
    calls: Sequence[Call],
    stages: str | Sequence[str],
    reader: str = 'HierarchicalBranches',
) -> list[int]:
    """Return the indices of the calls that end the stages.

    Args:
        backbone: whose stages these are.
        calls: its direct ones, in order.
        stages: ``'auto'``, or names of modules.
        reader: who asks, for messages.

    Raises:
        ValueError: the stages are unknown or out of order.
    """
    owner = type(backbone).__name__
    names = [call.name for call in calls]
    if not isinstance(stages, str):
        unknown = [name for name in stages if name not in names]
        ends = [names.index(name) for name in stages if name in names]
        if unknown or not ends or ends != sorted(set(ends)):
            raise ValueError(
                f'{reader}: stages={list(stages)} must be '
                f'modules that {owner} calls one after the other: '
                f'{", ".join(names)}'
            )
        return ends
    if stages != 'auto':
        raise ValueError(
            f"{reader}: stages='{stages}'; write stages='auto' "
            'or a list of module names'
        )
    try:
        groups = stage_groups(backbone)
    except ValueError:
        raise _unknown_stages(owner, names, reader) from None
    count = getattr(backbone, 'num_stages', len(groups))
    found: list[int] = []
    for group in groups[1 : 1 + count]:
        inside = [name for name in group if name in names]
        if not inside or _is_one_convolution(backbone, inside):
            continue
        # a dense block's map is read before its transition
        name = inside[0] if hasattr(backbone, 'transitions') else inside[-1]
        end = names.index(name)
        if found and _joins(backbone, calls[found[-1]], calls[end]):
            found.pop()
        found.append(end)
    if not found:
        raise _unknown_stages(owner, names, reader)
    return found


def _unknown_stages(
    owner: str, names: Sequence[str], reader: str
) -> ValueError:
    return ValueError(
        f'{reader}: the stages of {owner} are not known; set '
        'stages to the names of the modules that end them, out of '
        f'{", ".join(names)}'
    )


def _joins(backbone: nn.Module, before: Call, call: Call) -> bool:
    """Return whether two stages count as one: same resolution.

    HCGNet reduces it at the end of a stage, so its last two stay apart.
    """
    return before.positions == call.positions and (
        makes_stages(backbone) or not hasattr(backbone, 'make_stage')
    )


def _is_one_convolution(backbone: nn.Module, group: Sequence[str]) -> bool:
    """Return whether it is no stage, but a stem or what follows the last."""
    module = backbone.get_submodule(group[-1])
    return len(group) == 1 and type(module).__name__ == 'ConvModule'


def _own_stage(backbone: nn.Module, stage: Sequence[Call]) -> list[Call]:
    """Drop the stem in front of a backbone's only stage."""
    if makes_stages(backbone):
        return [call for call in stage if call.name.startswith('layer')]
    return list(stage)
