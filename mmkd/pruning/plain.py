"""Plain values, and JSON that people can read."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmkd.utils.types import registered_name


def as_plain(value: Any) -> Any:
    """Return ``value`` made of what ``weights_only`` loading allows.

    Classes are named as in the registries.
    """
    if isinstance(value, Mapping):
        return {
            str(key): registered_name(entry)
            if key == 'type' and isinstance(entry, str)
            else as_plain(entry)
            for key, entry in value.items()
        }
    if inspect.isclass(value) or inspect.isfunction(value):
        return registered_name(value)
    if isinstance(value, (list, tuple)):
        return type(value)(as_plain(entry) for entry in value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f'the config of the network holds {value!r} of type '
        f'{type(value).__name__}, which cannot be stored: use plain values'
    )


def as_json(value: Any) -> str:
    """Return JSON with one line per list of numbers."""
    text = json.dumps(value, indent=1)
    return re.sub(
        r'\[\s+([^\[\]{}"]*?)\s+\]',
        lambda m: '[' + ' '.join(m.group(1).split()) + ']',
        text,
    )
