"""Whether two runs ended alike, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kills.logs import logged
from mmkd.checkpoints.read import read_checkpoint

_CLOCKS = ('time', 'eta', 'memory', 'cfg', 'experiment_name')
_PATHS = ('last_ckpt', 'best_ckpt')


def differences(run: Path, other: Path) -> Iterator[str]:
    """Yield what differs between the ends of two runs.

    Compared are the last checkpoint (weights, buffers, optimizers,
    schedulers, history of the logs, what hooks save), the names of all
    checkpoints, and every line that any life of ``other`` has logged.

    Args:
        run: work directory of the uninterrupted run.
        other: of the one that was killed.
    """
    names = [_checkpoints(folder) for folder in (run, other)]
    if names[0] != names[1]:
        yield f'files: {names[0]}, {names[1]}'
        return
    for name in names[0]:
        one, two = (read_checkpoint(folder / name) for folder in (run, other))
        yield from _differ(one, two, name)
    first, second = logged(run), logged(other)
    if first.keys() != second.keys():
        yield f'logged steps: {sorted(first.keys() ^ second.keys())}'
    for key in first.keys() & second.keys():
        wanted = first[key][0]
        for record in second[key]:
            if repr(record) != repr(wanted):
                yield f'log of {key}: {wanted}, {record}'


def _checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


def _differ(one: Any, two: Any, name: str) -> Iterator[str]:
    if type(one) is not type(two):
        yield f'{name}: {type(one).__name__}, {type(two).__name__}'
    elif isinstance(one, Mapping):
        if one.keys() != two.keys():
            yield f'{name}: keys {sorted(map(str, one.keys() ^ two.keys()))}'
        for key in one.keys() & two.keys():
            if any(part in str(key) for part in _CLOCKS):
                continue
            first, second = one[key], two[key]
            if any(part in str(key) for part in _PATHS):
                first, second = Path(str(first)).name, Path(str(second)).name
            yield from _differ(first, second, f'{name}: {key}')
    elif isinstance(one, list | tuple):
        if len(one) != len(two):
            yield f'{name}: {len(one)}, {len(two)} entries'
        for number, pair in enumerate(zip(one, two, strict=False)):
            yield from _differ(*pair, f'{name}[{number}]')
    elif isinstance(one, torch.Tensor):
        if not _same(one.numpy(force=True), two.numpy(force=True)):
            yield f'{name}: tensors'
    elif isinstance(one, np.ndarray):
        if not _same(one, two):
            yield f'{name}: arrays'
    elif hasattr(one, '__dict__') and not callable(one):
        yield from _differ(vars(one), vars(two), name)
    elif one != two and repr(one) != repr(two):
        yield f'{name}: {one!r}, {two!r}'


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether all bits are equal, those of NaN too."""
    return one.dtype == two.dtype and one.tobytes() == two.tobytes()
