"""Which checkpoint of a run that stopped is good, read again to be sure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from mmkd.checkpoints.read import describe_keys, read_checkpoint


def describe_last(paths: Iterable[Path]) -> str:
    """Say which is the newest checkpoint that a run can go on from.

    Args:
        paths: of the run, newest first.

    Returns:
        A sentence; each file that is named as intact was read whole, and
        its weights are finite.
    """
    bad: list[str] = []
    for path in paths:
        reason = fault(path)
        if reason is None:
            told = ''.join(f'; {text}' for text in bad)
            return f'The last intact checkpoint is {path} (read again){told}'
        bad.append(reason)
    if bad:
        return f'No checkpoint of this run is intact: {"; ".join(bad)}'
    return 'This run has saved no checkpoint yet'


def fault(path: Path) -> str | None:
    """Say why nothing can go on from a checkpoint, or return None."""
    try:
        weights = read_checkpoint(path)['state_dict']
    except (ValueError, OSError) as error:
        return str(error)
    bad = [name for name, value in weights.items() if not _usable(name, value)]
    if bad:
        return f'{path} holds what is not finite: {describe_keys(bad, 3)}'
    return None


def _usable(name: str, value: Any) -> bool:
    """Whether an entry is finite; masks and the like may hold infinities."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return True
    if name.endswith(('weight', 'bias', 'running_mean', 'running_var')):
        return bool(value.isfinite().all())
    return not bool(value.isnan().any())
