"""What a finished stage leaves, so that it is not run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmkd.checkpoints.atomic import write_file
from mmkd.checkpoints.whole import sha256_of

FILE = 'stage.json'


@dataclass(frozen=True)
class Record:
    """Of a finished stage.

    Args:
        settings: digest of what the stage was told and of what is in the
            files that it read.
        output: its result, from its folder if it is in there.
        seconds: it took.
        facts: what else the summary shows.
    """

    settings: str
    output: str
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)


def write_record(folder: Path, record: Record) -> None:
    """Write that the stage of ``folder`` is finished."""
    text = json.dumps(asdict(record), indent=2)
    write_file(folder / FILE, f'{text}\n'.encode())


def read_record(folder: Path) -> Record | None:
    """Return the record of a finished stage, or None.

    Raises:
        ValueError: the file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Record(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{path} cannot be read ({error}): remove it to run this stage '
            'again'
        ) from error


def remove_record(folder: Path) -> None:
    """Forget that the stage of ``folder`` was finished."""
    (folder / FILE).unlink(missing_ok=True)


def digest(told: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Return a digest of what a stage is told and of the files it reads."""
    found = hashlib.sha256(
        json.dumps(told, sort_keys=True, default=_named).encode()
    )
    for path in files:
        for part in sorted(path.rglob('*')) if path.is_dir() else [path]:
            if part.is_file():
                found.update(sha256_of(part).encode())
    return found.hexdigest()


def _named(value: Any) -> str:
    """Classes and functions of configs in Python, by their names."""
    name = getattr(value, '__qualname__', None)
    return repr(value) if name is None else f'{value.__module__}.{name}'
