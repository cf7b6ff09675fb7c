"""What the pictures of pruning show, read from runs."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmkd.checkpoints.read import read_checkpoint

Norms = dict[str, np.ndarray]  # layer -> (steps, filters)
_RATE = re.compile(r'_p\d+(?=_|$)')


def read_filter_norms(path: str | Path) -> Norms:
    """Read the record of `FilterNormsHook`.

    Args:
        path: a work directory (all parts of a resumed run are read; where
            a step is repeated, the later one counts), or a file.

    Returns:
        Layer -> norms (steps, filters), as trained, before the mask; a
        step is an epoch or an interval of iterations.

    Raises:
        FileNotFoundError: there is no record.
    """
    path = Path(path)
    files = [path] if path.is_file() else []
    files = files or sorted(path.glob('*/filter_norms.jsonl'))
    if not files:
        raise FileNotFoundError(
            f'"{path}" has no */filter_norms.jsonl: train with '
            "default_hooks.filter_norms=dict(type='mmkd.FilterNormsHook')"
        )
    lines: dict[int, dict[str, list[float]]] = {}
    for file in files:
        for text in file.read_text().splitlines():
            line = json.loads(text)
            step = line['epoch'] if 'epoch' in line else line['iter']
            lines[step] = line['norms']
    rows = [lines[step] for step in sorted(lines)]
    return {name: np.array([row[name] for row in rows]) for name in rows[-1]}


def read_zero_shares(
    path: str | Path, *, allow_pickle: bool = False
) -> dict[str, float]:
    """Return the share of zero filters of every convolution of a file.

    Args:
        path: a checkpoint.
        allow_pickle: see `read_checkpoint`.
    """
    state = read_checkpoint(path, allow_pickle=allow_pickle)['state_dict']
    return {
        key.removesuffix('.weight'): float(
            (value.flatten(1) == 0).all(1).double().mean()
        )
        for key, value in state.items()
        if value.ndim == 4 and key.endswith('.weight')
    }


def tradeoff_points(
    measured: Mapping[str, Sequence[Mapping[str, Any]]],
    metric: str = 'accuracy/top1',
) -> dict[str, list[tuple[float, float, float]]]:
    """Return the points of `plot_tradeoff`, a series per method.

    Configs that differ in the rate of their name alone (``_p30_``) make a
    series.

    Args:
        measured: from `read_measurements`.
        metric: of the compact network, else of the masked one.

    Returns:
        Series -> (millions of multiply-adds, mean, deviation over seeds),
        by multiply-adds.
    """
    series: dict[str, list[tuple[float, float, float]]] = {}
    for name, runs in measured.items():
        values = [run.get('compact', run['masked'])[metric] for run in runs]
        flops = [run.get('compact_flops', run['flops']) for run in runs]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        point = (
            statistics.mean(flops) / 1e6,
            statistics.mean(values),
            deviation,
        )
        series.setdefault(_RATE.sub('', name), []).append(point)
    return {name: sorted(points) for name, points in sorted(series.items())}
