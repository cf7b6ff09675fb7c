"""Builds a cohort from its config and looks whether its parts fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.cohorts.cohort import Cohort
from mmkd.networks import network_dict
from mmkd.preprocessors import replace_preprocessor
from mmkd.utils.meta_copy import COPIES, run_copy
from mmkd.utils.settings import require_dict


def class_of_cohort(config: Mapping[str, Any]) -> type[Cohort]:
    """Return the class that builds a cohort from ``config``."""
    kind = config.get('type', Cohort)
    return ROOT_MODELS.get(kind) if isinstance(kind, str) else kind


def build_cohort(cohort: Any, data_preprocessor: Any = None) -> Cohort:
    """Build the cohort; ``data_preprocessor`` replaces that of its peers."""
    replaces = isinstance(data_preprocessor, Mapping)
    if isinstance(cohort, Cohort):
        if replaces:
            for peer in cohort.peers:
                _with_preprocessor(peer, data_preprocessor)
        return cohort
    require_dict('model.cohort', cohort, 'peers=[...]')
    config = dict(cohort)
    config.setdefault('type', 'mmkd.Cohort')
    if replaces:
        cls = class_of_cohort(config)
        config = cls.map_peers(
            config, lambda peer: _with_preprocessor(peer, data_preprocessor)
        )
    return ROOT_MODELS.build(config)


def _with_preprocessor(peer: Any, preprocessor: Mapping[str, Any]) -> Any:
    """Give a built network, or a network's config, a preprocessor."""
    if isinstance(peer, nn.Module):
        peer.data_preprocessor = ROOT_MODELS.build(dict(preprocessor))
        return peer
    peer = network_dict(peer)
    replace_preprocessor(peer, 'a peer', preprocessor)
    return peer


def require_one_preprocessor(cohort: Cohort) -> None:
    """Refuse peers that want their images prepared in different ways.

    Raises:
        ValueError: names the first that differs from peer 0.
    """
    first, *others = [
        _settings(getattr(peer, 'data_preprocessor', None))
        for peer in cohort.peers
    ]
    for index, other in enumerate(others, 1):
        keys = [
            key
            for key in first.keys() | other.keys()
            if first.get(key) != other.get(key)
        ]
        if keys:
            key = min(keys)
            raise ValueError(
                f'the data preprocessors of cohort.peers differ: {key} is '
                f'{first.get(key)} in peer 0 and {other.get(key)} in peer '
                f'{index}, but all see the same images; say which holds by '
                'model.data_preprocessor=dict(...)'
            )


def _settings(preprocessor: nn.Module | None) -> dict[str, str]:
    """Return type, plain attributes and buffers as text."""
    if preprocessor is None:
        return {}
    settings = {'type': type(preprocessor).__name__}
    for key, value in vars(preprocessor).items():
        if not key.startswith('_') and key not in ('training', 'num_classes'):
            settings[key] = f'{value}'
    for key, value in preprocessor.named_buffers():
        settings[key] = f'{value.flatten().tolist()}'
    return settings


def sharing_notes(cohort: Cohort) -> list[str]:
    """Return what the peers share, a line each."""
    lines = []
    for part in cohort.sharing.parts:
        members = ', '.join(f'peer{k}' for k in part.peers)
        scaled = (
            f', gradient / {part.branches}'
            if cohort.sharing.scale_gradient
            else ''
        )
        lines.append(
            f'    shared by {members}: {", ".join(part.paths)}{scaled}'
        )
    return lines


def check_shared_order(
    cohort: Cohort, rows: int, shape: Sequence[int]
) -> None:
    """Refuse a shared module that a module with own weights precedes.

    Args:
        cohort: copies of its peers run.
        rows: number of images.
        shape: (C, H, W) of an image.

    Raises:
        ValueError: names that module.
    """
    parts = cohort.sharing.parts
    shared = [path for part in parts for path in part.paths]
    for index in {part.peers[0] for part in parts}:
        order = _layers_in_order(cohort[index], rows, shape)
        for part in parts:
            if part.peers[0] == index:
                _check_starts_at_input(order, part.paths, shared)


def _layers_in_order(
    peer: nn.Module, rows: int, shape: Sequence[int]
) -> list[str]:
    """Return the names of the layers with weights, as they run."""
    for make in COPIES:
        clone = make(peer).eval()
        order: list[str] = []
        for name, module in clone.named_modules():
            if not list(module.children()) and list(module.parameters()):
                module.register_forward_hook(
                    lambda *_, order=order, name=name: order.append(name)
                )
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                run_copy(clone, rows, shape)
        except Exception as error:  # any operator may lack a meta form
            failed = error
            continue
        return order
    raise failed


def _check_starts_at_input(
    order: Sequence[str], paths: Sequence[str], shared: Sequence[str]
) -> None:
    def belongs(name: str, to: Sequence[str]) -> bool:
        return any(f'{name}.'.startswith(f'{path}.') for path in to)

    inside = [k for k, name in enumerate(order) if belongs(name, paths)]
    for name in order[: max(inside, default=0)]:
        if not belongs(name, shared):
            raise ValueError(
                f'cohort.shared: {paths[-1]} is shared, but {name}, which '
                'runs before it, is not; what is shared starts at the '
                'input: add it'
            )
