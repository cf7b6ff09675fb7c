"""Values as the Python code of a config, as one would write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmkd.utils.types import registered_name

WIDTH = 79


class Name(str):
    """A variable of the config."""


def assignment(name: str, value: Any) -> str:
    """Return ``name = value``, within `WIDTH` columns where possible."""
    return f'{name} = {code(value, 0, len(name) + 3)}'


def code(value: Any, indent: int = 0, used: int | None = None) -> str:
    """Return the code of a value: numbers, texts, lists, dicts, classes.

    Args:
        value: dicts with words as keys become ``dict(a=1)``.
        indent: of the line that it begins in.
        used: columns of that line that are taken.
    """
    short = _short(value)
    if len(short) + (indent if used is None else used) <= WIDTH - 1:
        return short
    inner = indent + 4
    pad, end = ' ' * inner, ' ' * indent
    if isinstance(value, Mapping) and value:
        if _words(value):
            lines = [
                f'{pad}{k}={code(v, inner, inner + len(k) + 1)},\n'
                for k, v in value.items()
            ]
            return f'dict(\n{"".join(lines)}{end})'
        lines = [
            f'{pad}{_short(k)}: '
            f'{code(v, inner, inner + len(_short(k)) + 2)},\n'
            for k, v in value.items()
        ]
        return f'{{\n{"".join(lines)}{end}}}'
    if isinstance(value, (list, tuple)) and value:
        start, stop = '[]' if isinstance(value, list) else '()'
        if all(isinstance(v, (int, float)) for v in value):
            return short
        lines = [f'{pad}{code(v, inner)},\n' for v in value]
        return f'{start}\n{"".join(lines)}{end}{stop}'
    return short


def _words(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and k.isidentifier() for k in value)


def _short(value: Any) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, Mapping):
        if _words(value):
            inside = ', '.join(f'{k}={_short(v)}' for k, v in value.items())
            return f'dict({inside})'
        inside = ', '.join(
            f'{_short(k)}: {_short(v)}' for k, v in value.items()
        )
        return f'{{{inside}}}'
    if isinstance(value, tuple):
        inside = ', '.join(map(_short, value))
        return f'({inside},)' if len(value) == 1 else f'({inside})'
    if isinstance(value, list):
        return f'[{", ".join(map(_short, value))}]'
    if isinstance(value, type):
        return repr(registered_name(value))
    return repr(value)
