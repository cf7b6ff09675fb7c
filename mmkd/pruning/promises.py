"""Zero filters that a config promises and a checkpoint lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmengine.config import Config
from torch import nn

from mmkd.deploy import key_prefix
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.modules import submodule
from mmkd.registry import HOOKS
from mmkd.utils.types import type_name


def missing_zeros(
    network: nn.Module,
    config: Config,
    peer: int | None = None,
    input_shape: Sequence[int] | None = None,
) -> dict[str, tuple[int, int]]:
    """Return the layers with fewer zero filters than the config's hook makes.

    Args:
        network: that a run of ``config`` deploys.
        config: of a network or of a distiller.
        peer: which one of a cohort it is.
        input_shape: (C, H, W), should the hook need one and not have it.

    Returns:
        Layer -> (zero filters, promised ones).
    """
    prefix = key_prefix(config, peer)
    model = network
    for name in reversed(prefix.split('.')[:-1]):
        parent = nn.Module()  # patterns are of the paths in the run
        parent.add_module(name, model)
        vars(parent)['trained'] = [network]  # as a distiller says it
        model = parent
    found = {}
    for options in _pruning_hooks(config):
        choice = HOOKS.build(options).settings.choice
        if choice.granularity != 'filter':
            continue
        shape = choice.input_shape or input_shape
        try:
            selection = replace(choice, input_shape=shape).select(model)
        except ValueError:  # e.g. patterns for other peers only
            continue
        for name, promised in selection.planned_zeros().items():
            zeros = int(zero_filters(submodule(model, name)).sum())
            if zeros < promised:
                found[name.removeprefix(prefix)] = (zeros, promised)
    return found


def _pruning_hooks(config: Config) -> Iterator[dict[str, Any]]:
    hooks = [
        *(config.get('custom_hooks') or ()),
        *(config.get('default_hooks') or {}).values(),
    ]
    for hook in hooks:
        kind = hook.get('type') if isinstance(hook, Mapping) else None
        if type_name(kind) == 'SoftFilterPruningHook':
            options = dict(hook, type='mmkd.SoftFilterPruningHook')
            options.pop('priority', None)
            yield options
