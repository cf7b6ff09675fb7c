"""Builds the parts of an online distiller from its config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.model import ModuleList
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.distillers.sides import (
    check_names,
    names_needed,
    refuse_idle,
)
from mmkd.models.exchanges.base import Exchange
from mmkd.networks import network_dict
from mmkd.taps import Taps


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
        if isinstance(value, Mapping) and any(
            str(key).startswith('peer') for key in value
        ):
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


def build_cohort(cohort: Any, data_preprocessor: Any = None) -> Cohort:
    """Build the cohort; ``data_preprocessor`` replaces that of its peers."""
    replaces = isinstance(data_preprocessor, Mapping)
    if not isinstance(cohort, Cohort):
        config = dict(cohort)
        config.setdefault('type', 'mmkd.Cohort')
        if replaces and isinstance(config.get('peers'), (list, tuple)):
            config['peers'] = [
                _with_preprocessor(peer, data_preprocessor)
                for peer in config['peers']
            ]
        return ROOT_MODELS.build(config)
    if replaces:
        for peer in cohort.peers:
            _with_preprocessor(peer, data_preprocessor)
    return cohort


def _with_preprocessor(peer: Any, preprocessor: Mapping[str, Any]) -> Any:
    """Give a built network, or a network's config, a preprocessor."""
    if isinstance(peer, nn.Module):
        peer.data_preprocessor = ROOT_MODELS.build(dict(preprocessor))
        return peer
    # Each repository completes the dict of its networks in its way.
    peer = network_dict(peer)
    peer['data_preprocessor'] = preprocessor
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


def build_exchanges(exchange: Any) -> ModuleList:
    """Build one exchange, or those of a list."""
    given = exchange if isinstance(exchange, (list, tuple)) else [exchange]
    built = ModuleList()
    for config in given:
        if config is not None:
            part = (
                config
                if isinstance(config, nn.Module)
                else ROOT_MODELS.build(dict(config))
            )
            if not isinstance(part, Exchange):
                raise TypeError(
                    f'model.exchange is a {type(part).__name__}, not an '
                    'Exchange: give e.g. dict(type="mmkd.MutualExchange"); a '
                    'loss goes into mmkd.LossExchange'
                )
            built.append(part)
    return built


def build_taps(taps: Mapping[str, Any], cohort: Cohort) -> list[Taps]:
    """Return the taps of every peer.

    Raises:
        KeyError: a peer has no such module.
    """
    built = []
    for index, peer in enumerate(cohort.peers):
        paths = peer_config('taps', taps, index, len(cohort))
        try:
            built.append(Taps(peer, paths))
        except KeyError as error:
            raise KeyError(
                f'peer{index}: {error.args[0]}; where peers differ, write '
                'dict(peer0=..., peer1=...)'
            ) from None
    return built


def weights_of(weight: float | Sequence[float], count: int) -> list[float]:
    """Return ``task_weight`` as one number per peer.

    Raises:
        ValueError: there are not as many numbers as peers.
    """
    if isinstance(weight, (int, float)):
        return [float(weight)] * count
    weights = [float(value) for value in weight]
    if len(weights) != count:
        raise ValueError(
            f'task_weight={weights} has {len(weights)} entries, the '
            f'cohort has {count} peers: give one number, or one per peer'
        )
    return weights


def names_read(
    exchanges: Iterable[Exchange],
    taps: Mapping[str, Any],
    aux: Mapping[str, Any],
    count: int,
) -> tuple[list[str], list[str]]:
    """Return what the exchanges read, and the auxiliary heads for it.

    Both are in order, heads before their readers.

    Raises:
        KeyError, ValueError: a name that nothing gives, or a head that
            nothing reads.
    """
    wanted = {
        name: f'exchange {type(exchange).__name__} reads "{name}" (on.{role})'
        for exchange in exchanges
        for role, name in exchange.on.items()
    }
    needed: dict[str, None] = {}
    for index in range(count):
        heads = peer_config('aux_heads', aux, index, count)
        check_names(wanted, taps, heads)
        needed |= dict.fromkeys(names_needed(list(wanted), heads)[1])
    refuse_idle(aux, needed, 'exchange')
    return list(wanted), list(needed)
