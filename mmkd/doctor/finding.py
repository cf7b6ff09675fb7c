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
    """

    cause: str
    text: str
    cure: str

    def __str__(self) -> str:
        return f'{self.cause}: {self.text}; {self.cure}'
