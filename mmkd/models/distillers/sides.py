"""Taps and auxiliary heads of one side of a distillation."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmengine.model import ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.taps import Record, Tensors


def aux_head_inputs(config: Mapping[str, Any]) -> list[str]:
    """Return the names that an auxiliary head's ``on`` lists."""
    on = config['on']
    return [on] if isinstance(on, str) else list(on)


def build_aux_heads(
    configs: Mapping[str, Mapping[str, Any]], network: nn.Module
) -> ModuleDict:
    """Build auxiliary heads for ``network``.

    A head whose constructor takes ``backbone`` is given the network's.
    """
    heads = ModuleDict()
    for name, config in configs.items():
        cfg = dict(copy.deepcopy(dict(config)))
        cfg.pop('on')
        head_type = cfg.get('type')
        cls = (
            ROOT_MODELS.get(head_type)
            if isinstance(head_type, str)
            else head_type
        )
        takes = inspect.signature(cls).parameters if cls else {}
        if 'backbone' in takes and 'backbone' not in cfg:
            cfg['backbone'] = getattr(network, 'backbone', network)
        heads[name] = ROOT_MODELS.build(cfg)
    return heads


def check_joint_heads(
    heads: Mapping[str, nn.Module], network: nn.Module, views: Any
) -> None:
    """Compare heads for class and rotation with the network and the views.

    Raises:
        ValueError: they count other classes or rotations.
    """
    shown = getattr(views, 'num_rotations', None)
    classes = getattr(getattr(network, 'head', None), 'num_classes', None)
    for name, head in heads.items():
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


def named_tensors(
    record: Record | Mapping[str, Tensors],
    heads: ModuleDict,
    configs: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[str],
) -> dict[str, Tensors]:
    """Return the tensors called ``wanted``: taps and heads' outputs."""
    tensors: dict[str, Tensors] = {}

    def find(name: str) -> Tensors:
        if name not in tensors:
            tensors[name] = (
                heads[name](*map(find, aux_head_inputs(configs[name])))
                if name in heads
                else record[name]
            )
        return tensors[name]

    for name in wanted:
        find(name)
    return tensors


def names_needed(
    wanted: Sequence[str], aux_configs: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """Split ``wanted`` into taps and auxiliary heads, with what these need.

    Returns:
        Tap names and auxiliary head names, each in order of first use.

    Raises:
        ValueError: auxiliary heads read each other.
    """
    taps: list[str] = []
    heads: list[str] = []

    def visit(name: str, readers: tuple[str, ...]) -> None:
        if name in readers:
            raise ValueError(
                f'aux_heads read each other in a circle: '
                f'{" <- ".join([*readers, name])}; correct their "on"'
            )
        if name not in aux_configs:
            if name not in taps:
                taps.append(name)
        elif name not in heads:
            for source in aux_head_inputs(aux_configs[name]):
                visit(source, (*readers, name))
            heads.append(name)

    for name in wanted:
        visit(name, ())
    return taps, heads


def check_names(
    wanted: Mapping[str, str],
    taps: Mapping[str, Any],
    aux: Mapping[str, Mapping[str, Any]],
) -> None:
    """Refuse what cannot be read by name.

    Args:
        wanted: name -> who reads it, as the beginning of a message.
        taps: the config's ``taps``.
        aux: the config's ``aux_heads``.

    Raises:
        KeyError: nothing gives a name, or a head has no ``on``.
        ValueError: a name stands twice, or heads read each other.
    """
    for name, config in aux.items():
        if 'on' not in config:
            raise KeyError(
                f'aux_heads.{name} has no key "on": name the tap it reads'
            )
        if name in taps:
            raise ValueError(
                f'"{name}" is both a tap and an auxiliary head: rename one'
            )
    inputs = names_needed(list(aux), aux)[0]
    readers = {name: f'aux_heads read "{name}"' for name in inputs}
    known = [*taps, *aux]
    for name, reader in {**wanted, **readers}.items():
        if name not in known:
            raise KeyError(
                f'{reader}, which is neither in taps nor in aux_heads; '
                f'known: {", ".join(known) or "none"}; correct this "on"'
            )


def refuse_idle(
    aux: Mapping[str, Any], used: Collection[str], reader: str
) -> None:
    """Refuse auxiliary heads that are not in ``used``.

    Raises:
        ValueError: there is one; ``reader`` says what should read it.
    """
    idle = sorted(set(aux) - set(used))
    if idle:
        raise ValueError(
            f'aux_heads.{idle[0]} is read by no {reader}: remove it, or '
            'name it in the "on" of one'
        )


def paths_by_side(taps: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return tap name -> ``dict(student=path, teacher=path)``."""
    sides = {}
    for name, path in taps.items():
        if not isinstance(path, Mapping):
            path = dict(student=path, teacher=path)
        if not path or not set(path) <= {'student', 'teacher'}:
            raise KeyError(
                f'taps.{name}={dict(path)}: write dict(student=..., '
                'teacher=...), or one path for both'
            )
        sides[name] = path
    return sides


def require_paths(
    names: Sequence[str], paths: Mapping[str, Any], side: str
) -> None:
    for name in names:
        if name not in paths:
            raise KeyError(
                f'a loss reads "{name}" of the {side}, but taps.{name} gives '
                f'no path there: add {side}="module.path" to it'
            )
