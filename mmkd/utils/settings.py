"""Checks of settings."""

from __future__ import annotations


def check_positive(owner: str, example: float, **settings: float) -> None:
    """Refuse settings that are not positive.

    Raises:
        ValueError: names the first, and ``example`` as a good value.
    """
    for key, value in settings.items():
        if value <= 0:
            raise ValueError(
                f'{owner}: {key}={value} must be positive; set e.g. '
                f'{key}={example}'
            )
