"""Inputs and sums of the contrastive cases."""

from __future__ import annotations

import torch
from torch.nn import functional


def unit(*shape: int, device: str) -> torch.Tensor:
    """Random unit vectors along the last dimension."""
    return functional.normalize(torch.randn(*shape, device=device), dim=-1)


def total(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum of all terms."""
    return torch.stack(list(terms.values())).sum()
