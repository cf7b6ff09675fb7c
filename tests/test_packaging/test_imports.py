"""Imports point one way."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def modules() -> dict[str, Path]:
    """Return name -> file of every module of mmkd."""
    found = {}
    for path in sorted((ROOT / 'mmkd').rglob('*.py')):
        if '.mim' not in path.parts:
            name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
            found[name.removesuffix('.__init__')] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules that a file imports, anywhere in it.

    Imports for type checking alone count too.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        for name in names:
            while name and name not in known:
                name = name.rpartition('.')[0]
            if name and known[name].name != '__init__.py':
                found.add(name)
    return found


def graph() -> dict[str, set[str]]:
    known = modules()
    return {
        name: imports(path, known) - {name}
        for name, path in known.items()
        if path.name != '__init__.py'
    }


def test_no_circles() -> None:
    try:
        order = list(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(f'modules import each other: {" -> ".join(error.args[1])}')
    assert len(order) > 200


@pytest.mark.parametrize(
    ('room', 'never'),
    [
        ('mmkd.models.losses', ('mmkd.models.distillers',)),
        ('mmkd.models.memory', ('mmkd.models.distillers',)),
        ('mmkd.models.heads', ('mmkd.models.distillers',)),
        ('mmkd.models.exchanges', ('mmkd.models.distillers',)),
        ('mmkd.models', ('mmkd.engine', 'mmkd.cli', 'mmkd.toys')),
        ('mmkd.utils', ('mmkd.models', 'mmkd.engine', 'mmkd.cli')),
        ('mmkd.taps', ('mmkd',)),
        ('mmkd.tasks', ('mmkd',)),
    ],
)
def test_rooms_know_nothing_of_those_above(
    room: str, never: tuple[str, ...]
) -> None:
    wrong = [
        f'{name} imports {other}'
        for name, others in graph().items()
        if f'{name}.'.startswith(f'{room}.')
        for other in others
        if any(f'{other}.'.startswith(f'{above}.') for above in never)
    ]
    assert wrong == []
