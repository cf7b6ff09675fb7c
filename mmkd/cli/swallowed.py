"""Misspelt keys that a class with ``**kwargs`` takes and never reads."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmengine import registry as root
from mmengine.config import Config

from mmkd.cli.frames import walk
from mmkd.cli.keys import one_letter_off
from mmkd.cli.signatures import parameters_of

_REGISTRIES = (root.METRICS, root.DATASETS, root.TRANSFORMS, root.HOOKS)
_SECTIONS = (
    'custom_hooks', 'default_hooks', 'train_dataloader', 'val_dataloader',
    'val_evaluator',
)  # fmt: skip


def check_swallowed(config: Config) -> None:
    """Refuse keys that are one letter off one of their class.

    Raises:
        KeyError: names the key and what was meant.
    """
    for section in _SECTIONS:
        for path, value in walk(config.get(section), section):
            if not isinstance(value, Mapping):
                continue
            cls = _class_of(value, config.get('default_scope'))
            if cls is None or not _takes_any(cls):
                continue
            known = parameters_of(cls)
            for key in value:
                near = [k for k in known if one_letter_off(key, k)]
                if key not in known and key != 'type' and near:
                    raise KeyError(
                        f'{path} ({cls.__name__}) has the unknown key '
                        f'"{key}"; nearest: {near[0]}'
                    )


def _class_of(value: Mapping[str, Any], scope: str | None) -> Any:
    kind = value.get('type')
    if not isinstance(kind, str):
        return kind if inspect.isclass(kind) else None
    for registry in _REGISTRIES:
        own = value.get('_scope_', scope)
        with registry.switch_scope_and_registry(own) as there:
            try:
                found = there.get(kind)
            except (KeyError, ImportError, RuntimeError):  # type='', say
                continue
        if inspect.isclass(found):
            return found
    return None


def _takes_any(cls: type) -> bool:
    parameters = inspect.signature(cls).parameters.values()
    return any(p.kind is p.VAR_KEYWORD for p in parameters)
