"""What a check found: a named cause, and the cure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Args:
        cause: its name, e.g. ``'teacher-normalization'``.
        text: what was seen, in numbers.
        cure: what to do.
        right: share of right answers of the teacher once it is cured, where
            that was tried; of several cures, the best one is told.
    """

    cause: str
    text: str
    cure: str
    right: float | None = None

    def __str__(self) -> str:
        return f'{self.cause}: {self.text}; {self.cure}'
