"""Numbers of channels that the rehearsal sees, so that nobody types them.

A constructor argument ``<side>_channels`` or ``<side>_dim`` is dimension 1 of
what the head or loss reads on that side (``in``: a head's first input;
``student``, ``teacher``), ``<side>_size`` or ``<side>_sizes`` its height (or
(height, width)); of a list of maps, a list. It is filled in where it is
required and left out, or where the config says ``'auto'``.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS

AUTO = 'auto'
_ARGUMENT = re.compile(
    r'^(?P<side>in|student|teacher)_(?P<what>channels|dim|sizes?)$'
)

Shapes = torch.Size | list[torch.Size] | None
#: side -> shapes of what is read there, None if nobody saw it
Seen = Callable[[str], Shapes]


def class_of(config: Mapping[str, Any]) -> Any:
    """Return the class that ``config['type']`` names, or None."""
    kind = config.get('type')
    return ROOT_MODELS.get(kind) if isinstance(kind, str) else kind


def fill(
    key: str, config: Mapping[str, Any], seen: Seen, classes: int | None = None
) -> dict[str, Any]:
    """Return a copy of ``config`` with the arguments that were seen.

    Dicts with a ``type`` inside it (a fusion module, say) are filled too.

    Args:
        key: of the config, for messages.
        config: of a head or a loss.
        seen: what is read.
        classes: ``num_classes`` of the network, where it is left out.

    Raises:
        ValueError: a number contradicts what was seen, or is neither given
            nor seen.
    """
    filled = copy.deepcopy(dict(config))
    cls = class_of(filled)
    parameters = inspect.signature(cls).parameters if cls else {}
    for name, parameter in parameters.items():
        given = filled.get(name, parameter.empty)
        if isinstance(given, Mapping) and 'type' in given:
            filled[name] = fill(f'{key}.{name}', given, seen, classes)
            continue
        left_out = given is parameter.empty and (
            parameter.default is parameter.empty
        )
        if name == 'num_classes' and left_out and classes is not None:
            filled[name] = classes
        match = _ARGUMENT.match(name)
        if match is None:
            continue
        if left_out or (isinstance(given, str) and given == AUTO):
            filled[name] = _number(f'{key}.{name}', match, seen)
        elif given is not parameter.empty and given is not None:
            _compare(f'{key}.{name}', given, match, seen)
    return filled


def _number(key: str, match: re.Match[str], seen: Seen) -> Any:
    shapes = seen(match['side'])
    if shapes is None or isinstance(shapes, list) and match['side'] == 'in':
        raise ValueError(
            f'{key} is not given and not found, as '
            + (
                'it reads several maps; '
                if shapes is not None
                else 'what it reads was not seen before training (no dry '
                'run, or a module that runs in training only); '
            )
            + f'give {match[0]}'
        )
    value = _of(shapes, match['what'])
    if value is None:
        raise ValueError(
            f'{key} cannot be read off {_text(shapes)}; give {match[0]}'
        )
    return value


def _compare(key: str, given: Any, match: re.Match[str], seen: Seen) -> None:
    shapes = seen(match['side'])
    found = None if shapes is None else _of(shapes, match['what'])
    if found is None or match['what'].startswith('size'):
        return  # sizes are tried by the rehearsal itself
    same = list(given) if isinstance(given, (list, tuple)) else given
    if isinstance(found, list) != isinstance(same, list) or found == same:
        return  # a module may read one of several maps
    raise ValueError(
        f'{key}={given}, but what it reads is {_text(shapes)}: set '
        f'{match[0]}={found}, leave it out, or correct the tap'
    )


def _of(shapes: torch.Size | list[torch.Size], what: str) -> Any:
    if isinstance(shapes, list):
        values = [_of(shape, what) for shape in shapes]
        return None if None in values else values
    if not what.startswith('size'):
        return int(shapes[1]) if len(shapes) > 1 else None
    if len(shapes) != 4:
        return None
    height, width = (int(side) for side in shapes[2:])
    return height if height == width else (height, width)


def _text(shapes: Shapes) -> str:
    shapes = shapes if isinstance(shapes, list) else [shapes or torch.Size()]
    return ', '.join(str(tuple(shape)) for shape in shapes)
