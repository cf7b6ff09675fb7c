"""The lines that a run, in all its lives, has logged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_NAMES = '*/vis_data/scalars.json'
#: what no two runs share
_CLOCKS = {'time', 'data_time', 'memory'}


class Log:
    """What is logged from now on in the work directory of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {p: p.stat().st_size for p in folder.glob(_NAMES)}

    def last_step(self) -> int:
        """Return the number of the last training step, or 0."""
        steps = [0]
        for path in self._folder.glob(_NAMES):
            with path.open('rb') as file:
                file.seek(self._before.get(path, 0))
                records = map(_record, file.read().splitlines())
                steps += [r['step'] for r in records if _is_training(r)]
        return steps[-1] if len(steps) == 1 else max(steps)


def logged(folder: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return all records of a run: (kind, step) -> one per life that had it.

    Times and memory are left out, and so are lines that a kill cut off.
    """
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for path in sorted(folder.glob(_NAMES)):
        for record in map(_record, path.read_bytes().splitlines()):
            if not record:
                continue
            kind = 'train' if _is_training(record) else 'val'
            kept = {k: v for k, v in record.items() if k not in _CLOCKS}
            found.setdefault((kind, record['step']), []).append(kept)
    return found


def _record(line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {}


def _is_training(record: dict[str, Any]) -> bool:
    return 'lr' in record or 'loss' in record
