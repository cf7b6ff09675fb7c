"""Networks of any task repository: from a config name to a built module."""

from __future__ import annotations

import copy
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from torch import nn

from mmkd.checkpoints.read import (
    describe_keys,
    read_checkpoint,
    strip_prefix,
)

NetworkSpec = str | dict[str, Any]


def load_config(name: str) -> Config:
    """Load a config by path or as ``package::path``.

    Args:
        name: e.g. ``'mmseg::pspnet/pspnet_r18-d8_4xb2-....py'`` or a path.

    Raises:
        FileNotFoundError: there is no such config.
        ImportError: the package is not installed.
    """
    path = _external_path(name) if '::' in name else Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f'config="{name}" does not exist (looked for {path}); give a path '
            'from the folder the command runs in, or "package::path"'
        )
    return Config.fromfile(path)


def _external_path(name: str) -> Path:
    package, _, relative = name.partition('::')
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f'config="{name}" needs the package {package}, which is not '
            'installed'
        )
    folder = Path(spec.submodule_search_locations[0])
    places = (folder / '.mim' / 'configs', folder.parent / 'configs')
    for place in places:
        if (place / relative).is_file():
            return place / relative
    return places[0] / relative


def network_dict(
    spec: NetworkSpec, scope: str | None = None, peer: int | None = None
) -> ConfigDict:
    """Return the model dict that ``spec`` stands for, with its scope.

    Args:
        spec: a config name (path or ``package::path``), a dict
            ``dict(config=name, cfg_options=...)``, or a model dict. A
            distiller's stands for the network that it deploys.
        scope: repository of a model dict that does not carry ``_scope_``.
            Defaults to the current default scope.
        peer: which peer of a cohort; defaults to its ``deploy``.

    Returns:
        A copy that carries ``_scope_`` and, if the config has one at top
        level, ``data_preprocessor``.
    """
    if isinstance(spec, str):
        spec = dict(config=spec)
    if not isinstance(spec, dict):
        raise TypeError(
            'a network is a config name or a dict, but got '
            f'{type(spec).__name__}: {spec!r}'
        )
    if 'config' not in spec:
        if 'type' not in spec:
            raise KeyError(
                f'the network dict has neither "type" nor "config", only '
                f'{", ".join(sorted(spec)) or "nothing"}: give a model dict '
                'or dict(config=...)'
            )
        model = _plain_network(ConfigDict(copy.deepcopy(dict(spec))), peer)
        model.setdefault('_scope_', scope or _current_scope())
        return model
    unknown = sorted(set(spec) - {'config', 'cfg_options'})
    if unknown:
        raise KeyError(
            f'the network dict(config="{spec["config"]}") has the unknown key '
            f'{", ".join(unknown)}: only "cfg_options" is read beside '
            '"config" (weights of a student are given by load_from or its '
            'init_cfg)'
        )
    config = load_config(spec['config'])
    config.merge_from_dict(dict(spec.get('cfg_options') or {}))
    if 'model' not in config:
        raise KeyError(f'config="{spec["config"]}" has no key "model"')
    model = copy.deepcopy(config.model)
    if config.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', config.data_preprocessor)
    model = _plain_network(model, peer)
    package = spec['config'].partition('::')[0]
    own_scope = package if '::' in spec['config'] else None
    model.setdefault(
        '_scope_',
        config.get('default_scope') or own_scope or scope or _current_scope(),
    )
    return model


def _plain_network(model: ConfigDict, peer: int | None) -> ConfigDict:
    """Return the student or peer if ``model`` is a distiller's dict.

    It gets the data preprocessor that the distiller trains it with.
    """
    while 'student' in model or 'cohort' in model:
        preprocessor = model.get('data_preprocessor')
        student = (
            model['student'] if 'student' in model else _peer(model, peer)
        )
        model = (
            student
            if isinstance(student, dict) and 'config' not in student
            else network_dict(student)
        )
        if preprocessor is not None:
            model['data_preprocessor'] = preprocessor
    return model


def _peer(model: ConfigDict, peer: int | None) -> Any:
    """Return what ``cohort.peers`` has for ``peer`` (or for ``deploy``)."""
    peers = model['cohort']['peers']
    if peer is None:
        deploy = model.get('deploy', 0)
        peer = deploy if isinstance(deploy, int) else 0
    if not -len(peers) <= peer < len(peers):
        raise ValueError(
            f'peer {peer} is asked for, but cohort.peers has {len(peers)} '
            f'networks: give an index from 0 to {len(peers) - 1}'
        )
    return peers[peer]


def _current_scope() -> str:
    scope = DefaultScope.get_current_instance()
    return scope.scope_name if scope is not None else 'mmengine'


def build_network(spec: NetworkSpec, scope: str | None = None) -> nn.Module:
    """Build the network that ``spec`` stands for (see `network_dict`)."""
    model = network_dict(spec, scope)
    if DefaultScope.get_current_instance() is None:
        init_default_scope(model['_scope_'])
    return MODELS.build(model)


def load_network_weights(
    network: nn.Module,
    checkpoint: str | Path,
    *,
    strict: bool = True,
    allow_pickle: bool = False,
    role: str = 'network',
    peer: int | None = None,
    state: dict[str, Any] | None = None,
) -> dict[str, torch.Tensor]:
    """Load a checkpoint into ``network``.

    A plain checkpoint of the network and a distiller's checkpoint (keys
    ``student.…`` or ``cohort.peers.…``) are both understood.

    Args:
        network: the built network.
        checkpoint: a local file.
        strict: refuse keys that are missing, unexpected or of other shape.
        allow_pickle: see `read_checkpoint`.
        role: the network's name in messages, e.g. ``'teacher'``.
        peer: which peer of a cohort, -1 the last; defaults to the deployed
            one.
        state: the ``state_dict`` of the file, if it was already read.

    Returns:
        The entries of the file that belong to auxiliary heads, as
        ``aux_heads.<name>.…``; of a cohort, those of the peer.

    Raises:
        ValueError: the weights do not fit.
    """
    if state is None:
        saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
        state = saved['state_dict']
    aux = {k: v for k, v in state.items() if k.startswith('aux_heads.')}
    if any(key.startswith('student.') for key in state):
        state = strip_prefix(state, 'student.')
    elif any(key.startswith('cohort.peers.') for key in state):
        if peer is None:
            peer = deployed_peer(state, checkpoint)
        elif peer < 0:  # -1 is the last
            peers = [k for k in state if k.startswith('cohort.peers.')]
            peer += len({key.split('.')[2] for key in peers})
        state = strip_prefix(state, f'cohort.peers.{peer}.')
        own_heads = strip_prefix(aux, f'aux_heads.{peer}.')
        aux = {f'aux_heads.{key}': v for key, v in own_heads.items()}
    elif state and all(key.startswith('module.') for key in state):
        state = strip_prefix(state, 'module.')
    try:  # with the conversions of old key names that networks bring along
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        own = network.state_dict()
        problems = _key_problems(own, state) or [str(error)]
        message = (
            f'{role} checkpoint="{checkpoint}" does not fit the '
            f'{type(network).__name__}: ' + '; '.join(problems)
        )
        fitting = {
            key: value
            for key, value in state.items()
            if key in own and own[key].shape == value.shape
        }
        if strict or not fitting:
            cure = 'Give the checkpoint of this very network'
            if fitting and role == 'teacher':
                cure += ', or set teacher=dict(strict=False) to load what fits'
            raise ValueError(f'{message}. {cure}') from None
        print_log(message, logger='current', level=logging.WARNING)
        network.load_state_dict(fitting, strict=False)
    return aux


def deployed_peer(
    state: dict[str, torch.Tensor], checkpoint: str | Path
) -> int:
    """Return the index of the deployed peer in a cohort's ``state_dict``.

    Raises:
        ValueError: what is deployed is no network of its own.
    """
    index = int(state.get('deployed_peer', -1))
    if index < 0:
        raise ValueError(
            f'checkpoint="{checkpoint}" is of a cohort that deploys an '
            'auxiliary classifier of all peers, which is no network of its '
            'own: say which peer you want (--peer, or peer=...)'
        )
    return index


def _key_problems(
    own: dict[str, torch.Tensor], state: dict[str, torch.Tensor]
) -> list[str]:
    missing = own.keys() - state.keys()
    unexpected = state.keys() - own.keys()
    shared = own.keys() & state.keys()
    shapes = sorted(k for k in shared if own[k].shape != state[k].shape)
    problems = []
    if own and not shared:
        problems.append('no key matches (it is of another network)')
    if missing:
        problems.append(f'{len(missing)} missing: {describe_keys(missing)}')
    if unexpected:
        problems.append(
            f'{len(unexpected)} unexpected: {describe_keys(unexpected)}'
        )
    for key in shapes[:3]:
        problems.append(
            f'{key} is {tuple(state[key].shape)} in the file but '
            f'{tuple(own[key].shape)} in the network' + _class_hint(key)
        )
    return problems


def _class_hint(key: str) -> str:
    last = key.rsplit('.', 2)[-2] if '.' in key else key
    names = ('conv_seg', 'fc', 'fc_cls', 'cls', 'classifier')
    return ' (other class numbers)' if last in names else ''


def freeze(network: nn.Module) -> nn.Module:
    """Put ``network`` into eval mode for good and stop its gradients."""
    network.requires_grad_(False)
    return network.eval()
