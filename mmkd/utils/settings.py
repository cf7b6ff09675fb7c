"""Checks of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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


def check_numbers(owner: str, **settings: Any) -> None:
    """Refuse settings that are no numbers.

    Raises:
        TypeError: names the first.
    """
    for key, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(
                f'{owner}: {key}={value!r} is of the kind '
                f'{type(value).__name__}: set a number'
            )


def check_flags(owner: str, **settings: Any) -> None:
    """Refuse settings that are neither True nor False: "no" would be true.

    Raises:
        TypeError: names the first.
    """
    for key, value in settings.items():
        if not isinstance(value, bool):
            raise TypeError(f'{owner}: {key}={value!r}: set True or False')


def require_dict(key: str, value: Any, example: str) -> None:
    """Refuse what is no dict.

    Args:
        key: of the config.
        value: what is there.
        example: the inside of a good one.

    Raises:
        TypeError: names the key and the kind of the value.
    """
    if not isinstance(value, Mapping):
        raise TypeError(
            f'{key}={value!r} is of the kind {type(value).__name__}: give '
            f'dict({example})'
        )
