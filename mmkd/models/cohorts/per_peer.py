"""Numbers that a config gives once, or for each peer of a cohort."""

from __future__ import annotations

from typing import Any


def per_peer(key: str, given: Any, count: int, kind: Any = int) -> Any:
    """Return one number per peer; None stays.

    Raises:
        ValueError: there are not as many numbers as peers.
    """
    if given is None:
        return None
    if isinstance(given, (int, float)):
        return [kind(given)] * count
    numbers = [kind(value) for value in given]
    if len(numbers) != count:
        raise ValueError(
            f'{key}={numbers} has {len(numbers)} entries, the cohort has '
            f'{count} peers: give one number, or one per peer'
        )
    return numbers
