"""The logs of seeds that tools/run_seeds.py keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read_run(
    path: Path, metric: str, also: Sequence[str] = (), scale: float = 1
) -> dict[Any, Any]:
    """Return the four numbers of one run, its steps, minutes, hardware.

    Those of ``also`` are there where the run has them. Metrics are
    multiplied by ``scale``.

    Raises:
        ValueError: the run is not finished.
    """
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for line in lines:
        for name in line.keys() & {metric, *also}:
            line[name] *= scale
    tests = {line['test']: line for line in lines if 'test' in line}
    values = [
        (line['step'], line[metric])
        for line in lines
        if metric in line and 'test' not in line
    ]
    if not values or set(tests) != {'last', 'best'}:
        raise ValueError(f'{path} is not the log of a finished run')
    epochs = max(line.get('epoch', 0) for line in lines)
    further = {
        name: line[name]
        for line in lines
        for name in also
        if name in line and 'test' not in line
    }
    return further | {
        ('val', 'last'): values[-1][1],
        ('val', 'best'): max(value for _, value in values),
        ('test', 'last'): tests['last'][metric],
        ('test', 'best'): tests['best'][metric],
        'steps': values[-1][0],
        'unit': 'epochs' if values[-1][0] == epochs else 'iterations',
        'minutes': lines[-1]['minutes'],
        'hardware': lines[-1]['hardware'],
    }


def last_values(folder: Path, metric: str) -> list[float]:
    """Return the metric of every seed's last checkpoint."""
    values = []
    for path in sorted(folder.glob('seed*.jsonl')):
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        found = [line for line in lines if line.get('test') == 'last']
        if not found or metric not in found[0]:
            known = sorted(found[0]) if found else 'no test'
            raise KeyError(
                f'{path} has no test of the last checkpoint with --metric '
                f'{metric}: {known}'
            )
        values.append(found[0][metric])
    if not values:
        raise FileNotFoundError(
            f'"{folder}" has no seed*.jsonl: run tools/run_seeds.py with this '
            'config first, or correct the name'
        )
    return values
