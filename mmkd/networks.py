"""Networks of any task repository: from a config name to a built module."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from torch import nn

from mmkd.preprocessors import difference
from mmkd.registry import MODELS as OWN_MODELS
from mmkd.registry import SCOPE, task_scope
from mmkd.tasks import REPOSITORIES
from mmkd.utils.state_hooks import confine_hooks
from mmkd.utils.types import packages_of

# Libraries whose models mmpretrain wraps.
_LIBRARIES = ('timm', 'transformers')

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
        return _with_scope(model, scope or _current_scope())
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
    inherit_preprocessor(model, config.get('data_preprocessor'))
    model = _plain_network(model, peer)
    package = spec['config'].partition('::')[0]
    own_scope = package if '::' in spec['config'] else None
    return _with_scope(
        model,
        config.get('default_scope') or own_scope or scope or _current_scope(),
    )


def trainer_of(model: Mapping[str, Any]) -> Any:
    """Return the class that trains networks, if ``model`` is its dict.

    It has a class method ``network_configs(model)``: label -> network.
    """
    kind, scope = model.get('type'), model.get('_scope_')
    if isinstance(kind, str):
        if '.' not in kind and scope in REPOSITORIES:
            return None
        if '.' not in kind and scope is not None:
            kind = f'{scope}.{kind}'
        try:
            kind = MODELS.get(kind)
        except (KeyError, RuntimeError):  # mmengine's for a path
            return None
    return kind if hasattr(kind, 'network_configs') else None


def networks_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the networks that ``model`` trains: label -> its spec.

    ``student``, or ``peer0``, ``peer1``, ...; of a plain network, empty.
    """
    trainer = trainer_of(model)
    return {} if trainer is None else trainer.network_configs(model)


def writes_configs(model: Mapping[str, Any]) -> bool:
    """Return whether the networks that ``model`` trains need own configs.

    Those of a `CompressedCohort` stand in no file.
    """
    trainer = trainer_of(model)
    return getattr(trainer, 'writes_configs', lambda _: False)(model)


def inherit_preprocessor(model: Any, preprocessor: Any) -> None:
    """Give ``model`` the top-level ``data_preprocessor`` of its config.

    It is a default, as in mmengine: what ``model`` has of its own holds. A
    distiller uses it for its networks.

    Raises:
        ValueError: one of these has its own, and the two differ.
    """
    if preprocessor is None or not isinstance(model, Mapping):
        return
    if 'data_preprocessor' in model:
        return
    for label, spec in networks_of(model).items():
        if not isinstance(spec, (str, dict)):
            continue  # a built network
        own = network_dict(spec).get('data_preprocessor')
        differs = difference(preprocessor, own)
        if differs:
            raise ValueError(
                f'data_preprocessor (at top level) and that of {label} '
                f'differ: {differs}. The top-level one is only for networks '
                'without their own: make them equal, remove one, or say '
                'which holds by model.data_preprocessor=dict(...)'
            )
    model['data_preprocessor'] = preprocessor  # type: ignore[index]


def _plain_network(model: ConfigDict, peer: int | None) -> ConfigDict:
    """Return the student or peer if ``model`` is a distiller's dict.

    It gets the data preprocessor that the distiller trains it with.
    """
    while specs := networks_of(model):
        preprocessor = model.get('data_preprocessor')
        spec = _choose(list(specs.values()), model.get('deploy'), peer)
        model = (
            spec
            if isinstance(spec, dict) and 'config' not in spec
            else network_dict(spec)
        )
        if preprocessor is not None:
            model['data_preprocessor'] = preprocessor
    return model


def _choose(specs: list[Any], deploy: Any, peer: int | None) -> Any:
    """Return the network of ``peer``, or else the one to ``deploy``."""
    if len(specs) == 1:
        return specs[0]
    if peer is None:
        if isinstance(deploy, dict):
            deploy = deploy.get('peer', 0)
        peer = deploy if isinstance(deploy, int) else 0
    if not -len(specs) <= peer < len(specs):
        raise ValueError(
            f'peer {peer} is asked for, but cohort.peers has {len(specs)} '
            f'networks: give an index from 0 to {len(specs) - 1}'
        )
    return specs[peer]


def _with_scope(model: ConfigDict, scope: str) -> ConfigDict:
    """Give ``model`` a scope, unless it carries that of a repository.

    A class brings its own, for what is named inside it. mmengine stamps
    ``mmkd`` on what is inherited from a config of mmkd.
    """
    kind = model.get('type')
    bare = isinstance(kind, str) and '.' not in kind
    given = model.get('_scope_')
    if given is None or (given == SCOPE and not (bare and kind in OWN_MODELS)):
        homes = [p for p in packages_of(kind) if p in REPOSITORIES]
        model['_scope_'] = homes[0] if homes else scope
    return model


def _current_scope() -> str:
    return task_scope() or 'mmengine'


def build_network(spec: NetworkSpec, scope: str | None = None) -> nn.Module:
    """Build the network that ``spec`` stands for (see `network_dict`)."""
    model = network_dict(spec, scope)
    if DefaultScope.get_current_instance() is None:
        init_default_scope(model['_scope_'])
    return keep_library_weights(confine_hooks(MODELS.build(model)))


def keep_library_weights(network: nn.Module) -> nn.Module:
    """Let ``init_weights`` pass over models of timm and transformers.

    They are complete when built; mmengine would call their ``init_weights``
    and undo ``pretrained=True``.
    """
    for module in network.modules():
        if type(module).__module__.partition('.')[0] in _LIBRARIES:
            module.is_init = True  # type: ignore[assignment]
    return network


def freeze(network: nn.Module) -> nn.Module:
    """Put ``network`` into eval mode for good and stop its gradients."""
    network.requires_grad_(False)
    return network.eval()
