"""Taps and auxiliary heads of the peers of a cohort."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ModuleDict, ModuleList
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.distillers.sides import (
    aux_head_inputs,
    build_aux_heads,
    names_needed,
)
from mmkd.models.exchanges.base import Exchange


def peer_config(
    key: str, configs: Mapping[str, Any], index: int, count: int
) -> dict[str, Any]:
    """Return the entries of ``configs`` that hold for peer ``index``.

    An entry ``dict(peer0=..., peer1=...)`` says something else for each.

    Raises:
        KeyError: such an entry does not name every peer.
    """
    chosen = {}
    for name, value in configs.items():
        if isinstance(value, Mapping) and 'peer0' in value:
            wanted = [f'peer{k}' for k in range(count)]
            if sorted(value) != sorted(wanted):
                raise KeyError(
                    f'{key}.{name} names {", ".join(sorted(value))}; the '
                    f'cohort has {count} peers: name {wanted[0]} to '
                    f'{wanted[-1]}, or give one entry for all'
                )
            value = value[f'peer{index}']
        chosen[name] = value
    return chosen


def check_reads(
    exchanges: Iterable[Exchange],
    taps: Mapping[str, Any],
    aux: Mapping[str, Any],
) -> None:
    """Refuse names that nothing gives, and heads that nothing reads.

    Raises:
        KeyError, ValueError: names the config key.
    """
    known = [*taps, *aux]
    heads = {name: _first(config) for name, config in aux.items()}
    for name, config in heads.items():
        if 'on' not in config:
            raise KeyError(
                f'aux_heads.{name} has no key "on": name the tap it reads'
            )
        if name in taps:
            raise ValueError(
                f'"{name}" is both a tap and an auxiliary head: rename one'
            )
    used: set[str] = set()
    for exchange in exchanges:
        for role, name in exchange.on.items():
            if name not in known:
                raise KeyError(
                    f'exchange {type(exchange).__name__} reads "{name}" '
                    f'(on.{role}), which is neither in taps nor in '
                    f'aux_heads; known: {", ".join(known) or "none"}'
                )
            used.add(name)
    tap_names, head_names = names_needed(sorted(used), heads)
    for name in tap_names:
        if name not in taps:
            raise KeyError(
                f'aux_heads read "{name}", which is neither in taps nor in '
                f'aux_heads; known: {", ".join(known) or "none"}'
            )
    idle = sorted(set(aux) - set(head_names))
    if idle:
        raise ValueError(
            f'aux_heads.{idle[0]} is read by no exchange: remove it or name '
            'it in the "on" of an exchange'
        )


def _first(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get('peer0', config)


def build_peer_heads(
    aux: Mapping[str, Any],
    names: Sequence[str],
    cohort: Cohort,
    report: Any,
) -> tuple[list[dict[str, Any]], ModuleList]:
    """Build every peer's auxiliary heads, inputs before readers.

    Args:
        aux: the config's ``aux_heads``.
        names: those that are read, in order.
        cohort: the peers.
        report: what the dry run saw, or None.

    Returns:
        Per peer: the configs, and a ModuleDict of heads.
    """
    configs, heads = [], ModuleList()
    for index, peer in enumerate(cohort.peers):
        own = peer_config('aux_heads', aux, index, len(cohort))
        chosen = {name: own[name] for name in names}
        if report is None:
            heads.append(build_aux_heads(chosen, peer))
        else:
            built = ModuleDict()
            seen = report[index].tensors
            for name, config in chosen.items():
                config = _with_in_channels(name, config, seen)
                built[name] = build_aux_heads({name: config}, peer)[name]
                _run_head(name, built[name], config, seen)
            heads.append(built)
        configs.append(chosen)
    return configs, heads


def _with_in_channels(
    name: str, config: Mapping[str, Any], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Fill ``in_channels`` in from what the head reads."""
    filled = copy.deepcopy(dict(config))
    head_type = config.get('type')
    cls = (
        ROOT_MODELS.get(head_type) if isinstance(head_type, str) else head_type
    )
    takes = inspect.signature(cls).parameters if cls else {}
    first = seen.get(aux_head_inputs(config)[0])
    if 'in_channels' in takes and 'in_channels' not in config:
        if not isinstance(first, torch.Tensor):
            raise ValueError(
                f'aux_heads.{name}: in_channels is not given and not found, '
                'as it reads several maps (or a module that runs in training '
                'only); give in_channels'
            )
        filled['in_channels'] = int(first.shape[1])
    return filled


def _run_head(
    name: str,
    head: nn.Module,
    config: Mapping[str, Any],
    seen: dict[str, Any],
) -> None:
    """Try ``head`` on small random tensors and note its output."""
    inputs: list[Any] = [
        seen.get(source) for source in aux_head_inputs(config)
    ]
    if any(value is None for value in inputs):
        return
    training = {module: module.training for module in head.modules()}
    head.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            seen[name] = head(*inputs)
    except (ValueError, TypeError, RuntimeError) as error:
        shapes = '; '.join(
            str(tuple(value.shape))
            if isinstance(value, torch.Tensor)
            else str([tuple(entry.shape) for entry in value])
            for value in inputs
        )
        raise ValueError(
            f'aux_heads.{name} ({type(head).__name__}) does not fit its '
            f'input {shapes}: {error}'
        ) from error
    finally:
        for module, mode in training.items():
            module.training = mode
