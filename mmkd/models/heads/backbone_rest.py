"""What a backbone does behind one of its stages, as a network of its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import isqrt
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import nn

from mmkd.checkpoints.pretrained import starts_from_file
from mmkd.models.backbones.hcgnet import HCGNet
from mmkd.models.heads.backbone_calls import Call, forget_hooks
from mmkd.utils.meta_copy import meta_copy, meta_input


class Pass(nn.Module):
    """Stands where a module was that a branch does not run.

    Gives its first argument, with height and width if the module did.
    """

    def __init__(self, with_size: bool = False) -> None:
        super().__init__()
        self.with_size = with_size

    def forward(self, x: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Return ``x``; the tokens of a square image with their size."""
        if not self.with_size:
            return x
        side = isqrt(x.shape[1])
        return x, (side, side)


def rest_behind(
    backbone: nn.Module, calls: Sequence[Call], last: int
) -> nn.Module:
    """Return a copy of ``backbone`` that starts behind call ``last``.

    Its forward is the backbone's own; modules up to there pass their input
    on. The weights are new (PyTorch's defaults, or by ``init_weights``).

    Args:
        backbone: any whose forward is a chain of modules.
        calls: the direct ones, in order.
        last: index of the last call to leave out.
    """
    passed = {call.name for call in calls[: last + 1]}
    rest = copy.deepcopy(backbone)
    kept = [call.name for call in calls[last + 1 :]]
    for call in sorted(calls[: last + 1], key=lambda call: -len(call.name)):
        stub = Pass(call.with_size)
        old = rest.get_submodule(call.name)
        for name, child in old.named_children():
            inner = f'{call.name}.{name}'
            if inner in kept or inner in passed:
                stub.add_module(name, child)
        replace(rest, call.name, stub)
    _run_to_the_end(rest)
    renew(rest)
    return rest


def require_running(
    branch: nn.Module,
    call: Call,
    owner: str,
    reader: str = 'HierarchicalBranches',
) -> None:
    """Try a branch, without storage, on what the stage before it gives.

    Raises:
        ValueError: it does not run.
    """
    clone = meta_copy(branch)
    clone.eval()  # mmpretrain's returns nothing
    try:
        with torch.no_grad():
            clone(meta_input(clone, 2, *call.given[1:]))
    except Exception as error:  # whatever the backbone's forward does
        raise ValueError(
            f'{reader}: no branch can be made behind '
            f'"{call.name}" of {owner}: {type(error).__name__}: {error}; '
            'its forward must be a chain of modules. Name other stages, or '
            'use another backbone'
        ) from error


def replace(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` at ``name``."""
    parent, _, last = name.rpartition('.')
    network.get_submodule(parent)._modules[last] = module


def _run_to_the_end(rest: Any) -> None:
    """Give the last map only, and freeze nothing."""
    if hasattr(rest, 'out_indices'):
        rest.out_indices = (max(rest.out_indices),)
    if hasattr(rest, 'num_stages') and hasattr(rest, 'stage_names'):
        rest.out_indices = (rest.num_stages - 1,)
    if hasattr(rest, 'frozen_stages'):
        rest.frozen_stages = -1
    if hasattr(rest, 'norm_eval'):
        rest.norm_eval = False


def renew(network: nn.Module) -> None:
    """Draw all weights anew; forget pretrained files and hooks."""
    forget_hooks(network)
    for module in network.modules():
        if isinstance(module, BaseModule):
            module._is_init = False
            given = module.init_cfg
            configs = given if isinstance(given, list) else [given]
            own = [
                config
                for config in configs
                if config and not starts_from_file(config)
            ]
            module.init_cfg = own or None
        reset = getattr(module, 'reset_parameters', None)
        if callable(reset):
            reset()
    network.requires_grad_(True)


def shape_keeping_stage(
    backbone: nn.Module,
    rest: nn.Module,
    stage: Sequence[Call],
    calls: Sequence[Call],
) -> None:
    """Turn the last stage of ``rest`` into one that keeps its input's shape.

    A backbone with ``make_stage`` makes it. Otherwise a block that changes
    width or resolution is replaced by a copy of the next one that does not,
    and what only reduces the resolution is left out. Where no block keeps
    the width (DenseNet, EfficientNet), a 1x1 convolution with batch norm
    adapts the input and all strides are 1.

    Args:
        backbone: the whole one.
        rest: a copy without the stages before; changed.
        stage: the direct calls of the last stage.
        calls: all calls, direct or not.
    """
    width = stage[-1].channels
    if makes_stages(backbone):
        make: Any = backbone.make_stage
        for number, call in enumerate(stage):
            index = int(call.name.removeprefix('layer'))
            given = width if number == 0 else None
            replace(rest, call.name, make(index, given, 1))
        return
    blocks = [
        block for call in stage for block in _blocks_of(backbone, call, calls)
    ]
    modules = {b.name: backbone.get_submodule(b.name) for b in blocks}
    keepers = [b for b in blocks if b.keeps_shape and b.channels == width]
    spare = {type(modules[b.name]): b for b in reversed(keepers)}
    changing = [b for b in blocks if b not in keepers]
    if keepers and all(
        type(modules[b.name]) in spare
        or _only_reduces(modules[b.name], b.name)
        for b in changing
    ):
        kept = {b.name: rest.get_submodule(b.name) for b in keepers}
        for block in changing:
            keeper = spare.get(type(modules[block.name]))
            new: nn.Module = Pass(block.with_size)
            if keeper is not None:
                new = copy.deepcopy(kept[keeper.name])
                renew(new)
            replace(rest, block.name, new)
        return
    _adapt(rest, stage, width)


def keep_first_blocks(
    rest: nn.Module,
    backbone: nn.Module,
    stage: Sequence[Call],
    calls: Sequence[Call],
    count: int,
) -> None:
    """Leave out all blocks of a stage of ``rest`` but the first ones.

    Args:
        rest: a copy without the stages before; changed.
        backbone: the whole one.
        stage: the direct calls of the stage.
        calls: all calls, direct or not.
        count: blocks to keep.

    Raises:
        ValueError: a block to leave out changes width or resolution.
    """
    blocks = [
        block
        for call in stage
        for block in _children_of(backbone, call, calls)
    ]
    for block in blocks[count:]:
        if not block.keeps_shape:
            raise ValueError(
                f'stage_depths={count}: block "{block.name}" of '
                f'{type(backbone).__name__} changes the shape of its input, '
                f"so it cannot be left out; set stage_depths='full', or "
                f'{len(blocks)}'
            )
        replace(rest, block.name, Pass(block.with_size))


def makes_stages(backbone: nn.Module) -> bool:
    """Return whether its stages have their width whatever goes in."""
    return hasattr(backbone, 'make_stage') and not isinstance(backbone, HCGNet)


def _blocks_of(
    backbone: nn.Module, call: Call, calls: Sequence[Call]
) -> list[Call]:
    """Return the blocks of one module of a stage, or the module itself."""
    return [call] if call.keeps_shape else _children_of(backbone, call, calls)


def _children_of(
    backbone: nn.Module, call: Call, calls: Sequence[Call]
) -> list[Call]:
    """Return the modules that a sequence runs, or the module itself."""
    module = backbone.get_submodule(call.name)
    if not isinstance(module, nn.Sequential):
        return [call]
    children = {f'{call.name}.{name}' for name, _ in module.named_children()}
    return [inner for inner in calls if inner.name in children] or [call]


def _only_reduces(module: nn.Module, name: str) -> bool:
    """Return whether it is pooling, or a layer between stages."""
    pools = (nn.MaxPool2d, nn.AvgPool2d)
    return isinstance(module, pools) or 'downsample' in name


def _adapt(rest: nn.Module, stage: Sequence[Call], width: int) -> None:
    """Put a 1x1 convolution before the stage, and set its strides to 1."""
    reduces = stage[0].entered[2:] != stage[-1].given[2:]
    for call in stage if reduces else ():
        for name, layer in list(rest.get_submodule(call.name).named_modules()):
            if isinstance(layer, nn.Conv2d):
                layer.stride = (1, 1)
            elif isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d)):
                path = f'{call.name}.{name}' if name else call.name
                replace(rest, path, Pass())
    entry, channels = stage[0].name, stage[0].entered[1]
    adapted = nn.Sequential(
        nn.Conv2d(width, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        rest.get_submodule(entry),
    )
    replace(rest, entry, adapted)
