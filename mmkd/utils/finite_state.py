"""Saved banks and queues that are of no use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch


def require_finite_state(
    state: Mapping[str, Any], prefix: str, names: Iterable[str]
) -> None:
    """Refuse a ``state_dict`` with buffers that are not finite.

    A bank with one NaN spoils every loss that reads it, steps later.

    Args:
        state: that is loaded.
        prefix: of the module.
        names: of its buffers.

    Raises:
        ValueError: names the buffer and the cure.
    """
    for name in names:
        value = state.get(prefix + name)
        if not isinstance(value, torch.Tensor):
            continue
        if value.is_floating_point() and not value.isfinite().all():
            bad = int((~value.isfinite()).sum())
            raise ValueError(
                f'the checkpoint has {bad} of {value.numel()} entries of '
                f'"{prefix}{name}" that are not finite: the run that wrote '
                'it had failed; set load_from (or --resume) to an earlier '
                'file, or start anew'
            )
