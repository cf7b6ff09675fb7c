"""``stage:NAME`` and ``stage:NAME/FILE``: what an earlier stage wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

PREFIX = 'stage:'


def references(value: Any, key: str = '') -> Iterator[tuple[str, str]]:
    """Yield key and text of every reference in a config or a part of it."""
    if isinstance(value, str):
        if value.startswith(PREFIX):
            yield key, value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from references(entry, f'{key}.{name}' if key else str(name))
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from references(entry, f'{key}[{index}]')


def stage_of(reference: str) -> str:
    """Return the name in ``stage:NAME/FILE``."""
    return reference[len(PREFIX) :].partition('/')[0]


def file_of(
    reference: str, folder: Path, output: Callable[[], Path], key: str
) -> Path:
    """Return the file that a reference means.

    Args:
        reference: ``stage:NAME`` for the result of the stage (the last
            checkpoint of a training), ``stage:NAME/FILE`` for a file of its
            folder; FILE may hold ``*``, which then must fit one file.
        folder: of the stage.
        output: gives its result.
        key: where the reference stands, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: ``*`` fits several.
    """
    pattern = reference[len(PREFIX) :].partition('/')[2]
    if not pattern:
        return output()
    found = sorted(folder.glob(pattern))
    if not found:
        near = sorted(path.name for path in folder.iterdir() if path.is_file())
        raise FileNotFoundError(
            f'{key}="{reference}": {folder} has no file "{pattern}" (it has '
            f'{", ".join(near) or "none"}); correct the name, or leave it '
            'out for the result of that stage'
        )
    if len(found) > 1:
        names = ', '.join(path.name for path in found)
        raise ValueError(
            f'{key}="{reference}" fits {len(found)} files ({names}): name one'
        )
    return found[0]


def replaced(value: Any, replace: Callable[[str], str]) -> Any:
    """Return a config (or a part) with other text for every reference."""
    if isinstance(value, str):
        return replace(value) if value.startswith(PREFIX) else value
    if isinstance(value, Mapping):
        for name in value:
            value[name] = replaced(value[name], replace)  # type: ignore
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(replaced(entry, replace) for entry in value)
    return value
