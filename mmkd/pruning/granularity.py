"""What one pruned unit is: a whole filter, or a single weight."""

from __future__ import annotations

import torch

GRANULARITIES = ('filter', 'weight')


def check_granularity(granularity: str) -> None:
    """Refuse what is no granularity.

    Raises:
        ValueError: names those that are.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(
            f'pruning: granularity={granularity!r} is unknown; use one of '
            f'{", ".join(GRANULARITIES)}'
        )


def num_units(weight: torch.Tensor, granularity: str) -> int:
    """Return how many filters, or weights, a convolution's weight has."""
    return len(weight) if granularity == 'filter' else weight.numel()
