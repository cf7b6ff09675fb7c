"""Fixed subsets of a data set with equally many samples per class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def balanced_indices(
    labels: Sequence[int] | np.ndarray,
    fraction: float,
    seed: int = 0,
    key: str = 'fraction',
) -> list[int]:
    """Return a share of each class, in the order of the data set.

    The list is a function of its arguments alone. A smaller fraction gives a
    part of what a larger one gives.

    Args:
        labels: of all samples.
        fraction: share of each class, rounded to whole samples.
        seed: another one gives another subset.
        key: what sets the fraction, for messages.

    Raises:
        ValueError: ``fraction`` is not in (0, 1], or leaves a class without
            samples.
    """
    if not 0 < fraction <= 1:
        raise ValueError(
            f'{key}={fraction} must be greater than 0 and at most '
            '1; 1 uses all samples'
        )
    labels = np.asarray(labels)
    if fraction == 1:
        return list(range(len(labels)))
    draw = np.random.RandomState(seed)  # stable over versions of NumPy
    chosen: list[int] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(len(members) * fraction)
        if not count:
            raise ValueError(
                f'{key}={fraction} leaves none of the '
                f'{len(members)} samples of class {label}: take more'
            )
        chosen += draw.permutation(members)[:count].tolist()
    return sorted(chosen)
