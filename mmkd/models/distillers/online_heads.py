"""Auxiliary heads of the peers of a cohort."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ModuleDict, ModuleList
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.distillers.online_build import peer_config
from mmkd.models.distillers.shrink import shapes_of
from mmkd.models.distillers.sides import aux_head_inputs, build_aux_heads
from mmkd.utils.modes import evaluating


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
    try:
        with evaluating(head), torch.random.fork_rng(devices=[]):
            seen[name] = head(*inputs)
    except (ValueError, TypeError, RuntimeError) as error:
        shapes = '; '.join(shapes_of(value) for value in inputs)
        raise ValueError(
            f'aux_heads.{name} ({type(head).__name__}) does not fit its '
            f'input {shapes}: {error}'
        ) from error
