"""Every test says what it expects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def called_names(function: Function) -> set[str]:
    """Last names of all that is called, nested functions included."""
    called = (n.func for n in ast.walk(function) if isinstance(n, ast.Call))
    return {
        getattr(target, 'attr', getattr(target, 'id', '')) for target in called
    }


def expects(function: Function, helpers: set[str]) -> bool:
    """Whether a function asserts, expects an error, or calls a checker.

    A checker is called ``assert_*``, as in torch, NumPy and mocks, or is a
    helper of the tests called ``check_*``.
    """
    return any(isinstance(n, ast.Assert) for n in ast.walk(function)) or any(
        name in ('raises', 'warns')
        or name.startswith('assert_')
        or (name.startswith('check_') and name in helpers)
        for name in called_names(function)
    )


def collected(tree: ast.Module) -> Iterator[Function]:
    """Functions that pytest takes for tests."""
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    for scope in (tree, *(c for c in classes if c.name.startswith('Test'))):
        for node in scope.body:
            if isinstance(node, Function) and node.name.startswith('test'):
                yield node


def silent(sources: dict[str, str]) -> list[str]:
    """Tests, and checkers among the helpers, that expect nothing."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    helpers = [
        (name, node)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
        and node.name.startswith(('check_', 'assert_'))
    ]
    tests = [
        (name, node)
        for name, tree in trees.items()
        if Path(name).name.startswith('test_')
        for node in collected(tree)
    ]
    names = {node.name for _, node in helpers}
    return [
        f'{name}:{node.lineno} {node.name}'
        for name, node in (*tests, *helpers)
        if not expects(node, names)
    ]


def test_every_test_expects_something() -> None:
    sources = {
        str(path.relative_to(TESTS)): path.read_text(encoding='utf-8')
        for path in sorted(TESTS.rglob('*.py'))
    }
    assert len(sources) > 100
    assert silent(sources) == []


@pytest.mark.parametrize(
    ('body', 'found'),
    [
        ('def test_a(): f()', ['test_a.py:1 test_a']),
        ('def test_a(): assert f()', []),
        ('def test_a(): f(pytest.raises(OSError))', []),
        ('def test_a(): torch.testing.assert_close(f(), 1)', []),
        ('def test_a(): check_grid()', ['test_a.py:1 test_a']),
        ('def check_a(): assert f()\ndef test_a(): check_a()', []),
        (
            'def check_a(): f()\ndef test_a(): check_a()',
            ['test_a.py:1 check_a'],
        ),
        ('class TestA:\n  def test_a(self): f()', ['test_a.py:2 test_a']),
        ('def helper():\n  def test(): f()', []),
    ],
)
def test_what_counts(body: str, found: list[str]) -> None:
    assert silent({'test_a.py': body}) == found
