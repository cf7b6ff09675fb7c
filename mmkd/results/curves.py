"""Curves of a run and of its peers, from its log of scalars."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Curve = tuple[list[float], list[float]]  # steps, values
DEPLOYED = 'deployed'
_NUMBERED = re.compile(r'peer(\d+)')


def read_scalars(path: str | Path) -> list[dict[str, Any]]:
    """Read the logged scalars of a run.

    Args:
        path: a work directory (all parts of a resumed run are read in
            order), or one file with a JSON object per line.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a line is not a JSON object.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob('*/vis_data/scalars.json'))
        files = files or sorted(path.glob('vis_data/scalars.json'))
    else:
        files = [path] if path.is_file() else []
    if not files:
        raise FileNotFoundError(
            f'run "{path}" has no log: give a work directory with '
            '*/vis_data/scalars.json, or a file of that form'
        )
    lines = []
    for file in files:
        for number, text in enumerate(file.read_text().splitlines(), 1):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                line = None
            if not isinstance(line, dict):
                raise ValueError(
                    f'{file}, line {number} is not a JSON object: '
                    f'{text[:40]!r}; remove the line if a run was cut off '
                    'while writing it'
                )
            lines.append(line)
    return lines


def peer_curves(
    lines: Iterable[Mapping[str, Any]], metric: str
) -> dict[str, Curve]:
    """Return the curve of every peer, in the order of their numbers.

    After the peers come auxiliary classifiers, the ensemble and the mean;
    at last the deployed network, unless its curve is that of a peer. Where
    a resumed run repeats a step, the later value counts.

    Args:
        lines: from `read_scalars`.
        metric: without the name of the peer, e.g. ``'accuracy/top1'``.

    Returns:
        name -> (steps, values).

    Raises:
        KeyError: no line has the metric.
    """
    values: dict[str, dict[float, float]] = {}
    keys: set[str] = set()
    for line in lines:
        keys.update(line)
        for key, value in line.items():
            if 'step' not in line:
                continue
            if key == metric:
                values.setdefault(DEPLOYED, {})[line['step']] = value
            elif key.endswith(f'/{metric}'):
                name = key[: -len(metric) - 1]
                values.setdefault(name, {})[line['step']] = value
    if not values:
        known = sorted(key for key in keys if '/' in key)[:8]
        raise KeyError(
            f'metric="{metric}" is in no line of the log; logged are '
            f'{", ".join(known) or "no validations"}'
        )
    deployed = values.get(DEPLOYED)
    if any(v == deployed for k, v in values.items() if k != DEPLOYED):
        del values[DEPLOYED]
    return {name: _series(values[name]) for name in sorted(values, key=_order)}


def _series(by_step: Mapping[float, float]) -> Curve:
    steps = sorted(by_step)
    return steps, [by_step[step] for step in steps]


def _order(name: str) -> tuple[int, int, str]:
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        return 0, int(numbered[1]), name
    return (2 if name == DEPLOYED else 1), 0, name


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last ``window`` values, or of all that there are yet."""
    if window < 1:
        raise ValueError(f'smoothed: window={window} must be at least 1')
    means = []
    total = 0.0
    for i, value in enumerate(values):
        total += value - (values[i - window] if i >= window else 0.0)
        means.append(total / min(i + 1, window))
    return means
