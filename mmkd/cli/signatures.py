"""What a class takes: its keys, and the kinds of their values."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

_PLAIN = (type(None), bool, int, float, str, list, tuple, Mapping)


def parameters_of(kind: Any) -> dict[str, inspect.Parameter]:
    """Return the arguments of a class or function by name.

    Of a class whose constructor passes keywords on, those of its bases too.
    """
    if not inspect.isclass(kind):
        return _named(kind)
    found: dict[str, inspect.Parameter] = {}
    for cls in kind.__mro__:
        own = vars(cls).get('__init__')
        if own is None or cls is object:
            continue
        found = {**_named(own), **found}
        if not any(p.kind is p.VAR_KEYWORD for p in _all(own)):
            break
    found.pop('self', None)
    return found


def _all(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C
        return []


def _named(function: Any) -> dict[str, inspect.Parameter]:
    return {
        p.name: p
        for p in _all(function)
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }


def wrong_kinds(kind: Any, given: Mapping[str, Any]) -> list[str]:
    """Say which values are of another kind than a class expects.

    Its annotations say what it expects, and where there are none, its
    defaults.
    """
    hints = _hints(kind)
    said = []
    for name, parameter in parameters_of(kind).items():
        if name not in given:
            continue
        value = given[name]
        if not isinstance(value, _PLAIN):
            continue
        wanted = _kinds(hints.get(name, parameter.annotation))
        if not wanted:
            default = parameter.default
            if default in (None, parameter.empty) or value is None:
                continue
            wanted = {type(default)}
        if not _is_one_of(value, wanted):
            wanted = {k for k in wanted if k in _NAMES} or wanted
            names = ' or '.join(
                sorted(_NAMES.get(k, k.__name__) for k in wanted)
            )
            own = type(value).__name__
            kind_of_value = _NAMES.get(type(value), f'a {own}')
            said.append(
                f'{name}={shown(value)} is {kind_of_value}, give {names}'
            )
    return said


_NAMES: dict[Any, str] = {
    bool: 'True or False',
    int: 'a number',
    float: 'a number',
    str: 'text',
    dict: 'a dict',
    list: 'a list',
    tuple: 'a list',
    collections.abc.Mapping: 'a dict',
    collections.abc.Sequence: 'a list',
    collections.abc.Collection: 'a list',
    type(None): 'None',
}


def shown(value: Any, most: int = 60) -> str:
    """Return a value as text, cut where it is long."""
    text = ' '.join(repr(value).split())
    return text if len(text) <= most else f'{text[:most]}...'


def _hints(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    classes = reversed(kind.__mro__) if inspect.isclass(kind) else [kind]
    for cls in classes:
        function = vars(cls).get('__init__') if inspect.isclass(cls) else cls
        try:
            found |= typing.get_type_hints(function)
        except Exception:  # names that exist for type checkers alone
            continue
    return found


def _kinds(annotation: Any) -> set[type]:
    """Return the classes that an annotation allows; empty is any."""
    if annotation in (Any, inspect.Parameter.empty) or isinstance(
        annotation, (str, typing.TypeVar)
    ):
        return set()
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [_kinds(a) for a in typing.get_args(annotation)]
        return set().union(*parts) if all(parts) else set()
    if origin is typing.Literal:
        return {type(a) for a in typing.get_args(annotation)}
    found = origin or annotation
    if found is None:
        return {type(None)}
    return {found} if inspect.isclass(found) else set()


def _is_one_of(value: Any, kinds: set[type]) -> bool:
    numbers = {int, float, complex}
    for kind in kinds:
        if kind in numbers:
            if isinstance(value, (int, float)) and not (
                isinstance(value, bool)
            ):
                return True
        elif kind in (list, tuple) or (
            kind
            in (
                collections.abc.Sequence,
                collections.abc.Collection,
                collections.abc.Iterable,
            )
        ):
            if isinstance(value, (list, tuple, set)):
                return True
        elif isinstance(value, kind):
            return True
        elif kind not in _NAMES and not (
            isinstance(value, str) and kinds & numbers
        ):
            return True  # a class of its own may be made from anything
    return False
