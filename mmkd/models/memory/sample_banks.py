"""One remembered embedding per sample of the data set and peer."""

from __future__ import annotations

import torch
from torch.nn import functional


def random_banks(
    num_peers: int, num_samples: int, feat_dim: int
) -> torch.Tensor:
    """Return banks (num_peers, num_samples, feat_dim).

    Uniform in [-s, s], s = sqrt(3 / feat_dim), so that rows have a norm of
    about 1; they are not normalised.
    """
    bound = (3 / feat_dim) ** 0.5
    return torch.empty(num_peers, num_samples, feat_dim).uniform_(
        -bound, bound
    )


@torch.no_grad()
def update_banks(
    banks: torch.Tensor,
    index: torch.Tensor,
    values: torch.Tensor,
    momentum: float,
) -> None:
    """Move rows towards new values and normalise them, in place.

    bank[index] <- normalize(momentum * bank[index] + (1 - momentum) * value)

    Of equal indices the last counts: all of them write its row, so that the
    result does not depend on the order of writing.

    Args:
        banks: (M, n, d), changed.
        index: (B,) rows.
        values: (M, B, d).
        momentum: share of the old row.
    """
    order = torch.arange(len(index), device=index.device)
    last = ((index[:, None] == index) * order).amax(1)
    mixed = momentum * banks[:, index] + (1 - momentum) * values[:, last]
    banks[:, index] = functional.normalize(mixed, dim=2).to(banks.dtype)
