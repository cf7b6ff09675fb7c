"""Networks by name: a config, a checkpoint of a run, a network of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmkd.apis.tasks import TASK_OF
from mmkd.apis.zoo import published_weights
from mmkd.checkpoints.address import is_address
from mmkd.checkpoints.read import read_checkpoint
from mmkd.networks import inherit_preprocessor, load_config, network_dict

TIMM = 'timm:'
_WEIGHTS = ('.pth', '.pt', '.safetensors')


@dataclass
class Named:
    """A network that a name stands for.

    Args:
        given: the name, for messages.
        config: name of its config, or its model dict.
        model: its dict, with ``_scope_``.
        run: the whole config, empty for a network of timm.
        weights: a file, an address, or None.
        classes: names of the classes that its weights know, if they say.
    """

    given: str
    config: Any
    model: Any
    run: Config = field(default_factory=Config)
    weights: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """What the network does."""
        return TASK_OF[self.model['_scope_']]

    @property
    def short(self) -> str:
        """A name for files."""
        if isinstance(self.config, str):
            return Path(self.config.rpartition('::')[2]).stem
        return Path(self.given.rpartition(':')[2]).stem


def find_network(given: Any, role: str) -> Named:
    """Return the network that ``given`` stands for.

    Args:
        given: ``'mmseg::…'``, the path of a config, a checkpoint of a run,
            ``'timm:NAME'``, (config, checkpoint), or ``dict(config=...,
            checkpoint=...)``.
        role: ``'student'`` or ``'teacher'``, for messages.

    Raises:
        FileNotFoundError: no such file.
        ImportError: a package is missing.
        TypeError, ValueError: the name stands for no network of the tasks.
    """
    name, weights = _split(given, role)
    if name.startswith(TIMM):
        return _of_timm(name, weights, role)
    if name.endswith(_WEIGHTS) or is_address(name):
        if weights is not None:
            raise ValueError(
                f'{role}="{name}" is a checkpoint, and another one, '
                f'"{weights}", is given beside it: give the config first, '
                'then its checkpoint'
            )
        name, weights = _config_of(name, role), name
    if weights is not None and not is_address(weights):
        _require_file(weights, role)
    named = _of_config(name, weights, role)
    if named.weights is None and role == 'teacher':
        named.weights = _weights_of(name)
    if named.weights is not None and not is_address(named.weights):
        named.classes = _classes_in(named.weights)
    return named


def _split(given: Any, role: str) -> tuple[str, str | None]:
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - {'config', 'checkpoint'})
        if unknown or 'config' not in given:
            raise ValueError(
                f'{role}={dict(given)!r}: give dict(config=..., '
                'checkpoint=...), both by name'
            )
        given = (given['config'], given.get('checkpoint'))
    elif isinstance(given, (str, Path)):
        given = (given, None)
    if not isinstance(given, (list, tuple)) or not 1 <= len(given) <= 2:
        raise TypeError(
            f'{role}={given!r}: give the name of a config, a checkpoint, or '
            'both'
        )
    name, weights = (*given, None)[:2]
    if not isinstance(name, (str, Path)) or not str(name):
        raise TypeError(
            f'{role}={given!r}: the name of a network is a text, e.g. '
            '"mmseg::pspnet/….py", or a path'
        )
    return str(name), None if weights is None else str(weights)


def _require_file(path: str, role: str) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{role}: the checkpoint "{path}" does not exist; correct the '
            'path (relative ones start at the folder the command runs in)'
        )


def _of_config(name: str, weights: str | None, role: str) -> Named:
    if not name.endswith('.py'):
        raise ValueError(
            f'{role}="{name}" is no name of a network: give the path of a '
            'config (….py), "package::path/….py", a checkpoint (….pth) of a '
            'run, or "timm:NAME" (tools/distill.py list-teachers lists '
            'published ones)'
        )
    run = load_config(name)
    if 'model' not in run:
        raise ValueError(
            f'{role}="{name}" has no network (no key "model"): give the '
            'config that trains the network'
        )
    scope = run.get('default_scope')
    if scope in TASK_OF and find_spec(scope) is not None:
        import_module(f'{scope}.models')
    inherit_preprocessor(run.model, run.get('data_preprocessor'))
    model = network_dict(run.model, scope or name.partition('::')[0])
    if model['_scope_'] not in TASK_OF:
        raise ValueError(
            f'{role}="{name}": its network is of the package '
            f'{model["_scope_"]}, which is none of {", ".join(TASK_OF)}: set '
            'default_scope in it'
        )
    return Named(name, name, model, run, weights)


def _weights_of(name: str) -> str | None:
    """Return published weights, or the newest of an own run."""
    if '::' in name:
        return published_weights(name)
    folders = (Path(name).parent, Path('work_dirs') / Path(name).stem)
    for folder in folders:
        last = folder / 'last_checkpoint'
        if last.is_file():
            path = Path(last.read_text().strip())
            for place in (path, folder / path.name):
                if place.is_file():
                    return str(place)
    return None


def _config_of(weights: str, role: str) -> str:
    """Return the config that a run left beside its checkpoint.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: there is no config, or there are several.
    """
    found: list[Path] = []
    if not is_address(weights):
        _require_file(weights, role)
        folder = Path(weights).parent
        found = [
            path
            for path in sorted(folder.glob('*.py'))
            if 'model' in path.read_text(encoding='utf-8')
        ]
    if len(found) != 1:
        there = ', '.join(path.name for path in found) or 'none'
        raise ValueError(
            f'{role}="{weights}": a checkpoint alone is no network, and '
            f'there is not one config beside it ({there}): give both, the '
            'config first'
        )
    return str(found[0])


def _classes_in(weights: str) -> tuple[str, ...]:
    meta = read_checkpoint(weights).get('meta') or {}
    classes = (meta.get('dataset_meta') or {}).get('classes') or ()
    return tuple(map(str, classes)) if not isinstance(classes, str) else ()


def _of_timm(name: str, weights: str | None, role: str) -> Named:
    """Return a classifier of timm, normalised as it was trained."""
    for package in ('timm', 'mmpretrain'):
        if find_spec(package) is None:
            raise ImportError(
                f'{role}="{name}" needs the package {package}, which is not '
                f'installed: pip install {package}'
            )
    kind = name.removeprefix(TIMM)
    settings = import_module('timm').create_model(kind).pretrained_cfg
    model = dict(
        type='TimmClassifier',
        _scope_='mmpretrain',
        model_name=kind,
        pretrained=weights is None,
        data_preprocessor=dict(
            type='ClsDataPreprocessor',
            mean=[round(255 * value, 3) for value in settings['mean']],
            std=[round(255 * value, 3) for value in settings['std']],
            to_rgb=True,
        ),
    )
    return Named(name, model, network_dict(model), weights=weights)
