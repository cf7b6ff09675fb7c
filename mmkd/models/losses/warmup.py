"""Linear warm-up of a loss's weight."""

from __future__ import annotations


def warmup_factor(epoch: int | None, warmup_epochs: int) -> float:
    """Return min((epoch + 1) / warmup_epochs, 1).

    Args:
        epoch: counted from 0; None is after the warm-up.
        warmup_epochs: 0 means no warm-up.
    """
    if epoch is None or warmup_epochs <= 0:
        return 1.0
    return min((epoch + 1) / warmup_epochs, 1.0)
