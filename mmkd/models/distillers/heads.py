"""Auxiliary heads of a role: built, filled in and tried."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.filling import class_of, fill
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.shrink import shapes_of, size_of
from mmkd.models.distillers.wiring import head_inputs
from mmkd.taps import Tensors
from mmkd.tasks import num_classes
from mmkd.utils.modes import evaluating


def build_heads(
    role: Role, tensors: dict[str, Tensors] | None = None
) -> ModuleDict:
    """Build the auxiliary heads of ``role``, inputs before readers.

    A head whose constructor takes ``backbone`` is given the network's.

    Args:
        role: its wiring says which.
        tensors: of its taps, as a rehearsal shows them; every head is tried
            on them, and its output is added. None: nothing is tried.

    Raises:
        ValueError: a head does not fit what it reads.
    """
    heads = ModuleDict()
    for name, config in role.wiring.heads.items():
        config = _completed(name, config, role, tensors or {})
        heads[name] = ROOT_MODELS.build(config)
        if tensors is not None:
            try_head(name, heads[name], role, tensors)
    return heads


def _completed(
    name: str,
    config: Mapping[str, Any],
    role: Role,
    tensors: Mapping[str, Tensors],
) -> dict[str, Any]:
    first = tensors.get(head_inputs(config)[0])
    filled = fill(
        f'aux_heads.{name}',
        config,
        lambda side: None if first is None or side != 'in' else size_of(first),
        num_classes(role.network),
    )
    filled.pop('on')
    cls = class_of(filled)
    takes = inspect.signature(cls).parameters if cls else {}
    if 'backbone' in takes and 'backbone' not in filled:
        filled['backbone'] = getattr(role.network, 'backbone', role.network)
    return filled


def try_head(
    name: str, head: nn.Module, role: Role, tensors: dict[str, Tensors]
) -> None:
    """Run ``head`` on ``tensors`` and add its output to them.

    It is passed over if it reads what only training gives.

    Raises:
        ValueError: it refuses its input.
    """
    inputs: list[Any] = [
        tensors.get(source) for source in head_inputs(role.wiring.heads[name])
    ]
    if any(value is None for value in inputs):
        return
    try:
        with evaluating(head), torch.random.fork_rng(devices=[]):
            tensors[name] = head(*inputs)
    except (ValueError, TypeError, RuntimeError) as error:
        shapes = '; '.join(shapes_of(value) for value in inputs)
        raise ValueError(
            f'aux_heads.{name} ({type(head).__name__}) does not fit its '
            f'input {shapes}: {error}'
        ) from error


def check_joint_heads(role: Role, views: Any) -> None:
    """Compare heads for class and rotation with the network and the views.

    Raises:
        ValueError: they count other classes or rotations.
    """
    shown = getattr(views, 'num_rotations', None)
    classes = getattr(getattr(role.network, 'head', None), 'num_classes', None)
    for name, head in role.heads.items():
        turns = getattr(head, 'num_rotations', None)
        if turns is None:
            continue
        if shown not in (None, turns):
            raise ValueError(
                f'aux_heads.{name}.num_rotations={turns}, but views.'
                f'num_rotations={shown}: set the same number'
            )
        if classes not in (None, head.num_classes):
            raise ValueError(
                f'aux_heads.{name}.num_classes={head.num_classes}, but '
                f'head.num_classes={classes}: set the number of classes of '
                'the data set in both'
            )
