"""The key ``type`` of a config: a name, a path of a class, or the class.

Configs in text name classes (``'ResNet'``, ``'mmseg.ResNet'``); those in pure
Python import them; mmengine writes the latter as ``'mmseg.models.ResNet'``.
"""

from __future__ import annotations

import inspect
from typing import Any

from mmengine.registry import Registry, root
from mmengine.utils import get_object_from_string


def type_name(kind: Any) -> str:
    """Return the name of a class, without module or scope."""
    name = getattr(kind, '__name__', None)
    return str(kind if name is None else name).rpartition('.')[2]


def class_at(kind: Any) -> Any:
    """Return the class that ``kind`` is, or is the path of; None for names."""
    if not isinstance(kind, str):
        return kind
    if kind.count('.') < 2:
        return None
    try:
        return get_object_from_string(kind)
    except (ImportError, AttributeError, ValueError):
        return None


def registered_name(kind: Any) -> str:
    """Return the name by which a registry finds a class: ``mmseg.ResNet``.

    Args:
        kind: a name, which stays as it is, a path, or a class.
    """
    found = class_at(kind)
    if found is None:
        return str(kind)
    for registry in vars(root).values():
        if isinstance(registry, Registry):
            for each in (registry, *registry.children.values()):
                for name, cls in each.module_dict.items():
                    if cls is found:
                        return (
                            name
                            if each is registry
                            else (f'{each.scope}.{name}')
                        )
    return f'{found.__module__}.{found.__qualname__}'


def packages_of(kind: Any) -> list[str]:
    """Return the packages of a class and of what it inherits from."""
    found = class_at(kind)
    if not inspect.isclass(found):
        return []
    return [cls.__module__.partition('.')[0] for cls in found.__mro__]
