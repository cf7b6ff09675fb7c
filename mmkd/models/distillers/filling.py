"""Numbers of channels that the rehearsal sees, so that nobody types them.

A constructor argument ``<side>_channels`` or ``<side>_dim`` is dimension 1 of
what the head or loss reads on that side (``in``: the first it reads;
``student``, ``teacher``), ``<side>_size`` or ``<side>_sizes`` its height (or
(height, width)). It is filled in where it is required and left out, or where
the config says ``'auto'``; one that takes a list gets one number per map, one
that takes either gets a list for several maps.
"""

from __future__ import annotations

import copy
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS

AUTO = 'auto'
_ARGUMENT = re.compile(
    r'^(?P<side>in|student|teacher)_(?P<what>channels|dim|sizes?)$'
)
#: in the annotation of an argument that takes several numbers
_SEVERAL = re.compile(r'\b(Sequence|Iterable|Collection|List|list)\b|\.\.\.')
_IN_BRACKETS = re.compile(r'\b(?!Union|Optional)\w+\[[^\[\]]*\]')
_SINGLE = re.compile(r'\b(int|Size)\b')
_MISSING = inspect.Parameter.empty

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

    Dicts with a ``type`` inside it (a fusion module, say) are filled too, but
    not those of layers (``norm_cfg``), which their owner completes.

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
    for name in dict.fromkeys([*parameters, *filled]):
        given = filled.get(name, _MISSING)
        if isinstance(given, Mapping) and 'type' in given:
            if not name.endswith('_cfg'):
                filled[name] = fill(f'{key}.{name}', given, seen, classes)
            continue
        parameter = parameters.get(name)
        left_out = (
            given is _MISSING
            and parameter is not None
            and parameter.default is _MISSING
        )
        if name == 'num_classes' and left_out and classes is not None:
            filled[name] = classes
        match = _ARGUMENT.match(name)
        if match is None:
            continue
        if left_out or (isinstance(given, str) and given == AUTO):
            several = _takes_several(match, parameter)
            shapes = seen(match['side'])
            filled[name] = _number(f'{key}.{name}', match, shapes, several)
        elif given is not _MISSING and given is not None:
            _compare(f'{key}.{name}', given, match, seen(match['side']))
    return filled


def _takes_several(
    match: re.Match[str], parameter: inspect.Parameter | None
) -> bool | None:
    """Return whether an argument takes a list; None: either, or unknown."""
    if match['what'] == 'sizes':
        return True
    if match['what'] == 'dim':
        return False
    if parameter is None or parameter.annotation is _MISSING:
        return False if match['what'] == 'size' else None
    kind = str(parameter.annotation)
    if not _SEVERAL.search(kind):
        return False
    return None if _SINGLE.search(_IN_BRACKETS.sub('', kind)) else True


def _number(
    key: str, match: re.Match[str], shapes: Shapes, several: bool | None
) -> Any:
    """Return what is filled in.

    Raises:
        ValueError: it was not seen, or does not fit the argument.
    """
    if shapes is None:
        raise ValueError(
            f'{key} is neither given nor found: what it reads was not seen '
            'before training (dry_run=False, a dry run that was skipped, no '
            'such side, or a module that runs in training only); give '
            f'{match[0]} as a number'
        )
    if isinstance(shapes, list) and several is False:
        if len(shapes) > 1:
            raise ValueError(
                f'{key} is one number, but what it reads are several maps, '
                f'{_text(shapes)}; tap one of them, or give {match[0]}'
            )
        shapes = shapes[0]
    elif not isinstance(shapes, list) and several:
        shapes = [shapes]
    value = _of(shapes, match['what'])
    if value is None:
        raise ValueError(
            f'{key} cannot be read off {_text(shapes)}; give {match[0]} as '
            'a number'
        )
    return value


def _compare(
    key: str, given: Any, match: re.Match[str], shapes: Shapes
) -> None:
    """Refuse channels that are not those of what is read.

    Sizes are tried by the rehearsal itself. A number that is another
    dimension, or all of them flattened, may be meant so.

    Raises:
        ValueError: a number contradicts the shapes.
    """
    if shapes is None or match['what'].startswith('size'):
        return
    found = _of(shapes, match['what'])
    maps = shapes if isinstance(shapes, list) else [shapes]
    numbers = list(given) if isinstance(given, (list, tuple)) else [given]
    if found is None or len(maps) != len(numbers):
        return  # a module may read one of several maps
    if all(
        number in (*shape[1:], math.prod(shape[1:]))
        for number, shape in zip(numbers, maps, strict=True)
    ):
        return
    raise ValueError(
        f'{key}={given}, but what it reads is {_text(shapes)}: set '
        f'{match[0]}={found}, leave it out, or correct the tap'
    )


def _of(shapes: torch.Size | list[torch.Size], what: str) -> Any:
    """Return channels or size; None if the shapes do not say."""
    if isinstance(shapes, list):
        values = [_of(shape, what) for shape in shapes]
        return None if None in values else values
    if not what.startswith('size'):  # of (N, a, b) it may be a or b
        return int(shapes[1]) if len(shapes) in (2, 4) else None
    if len(shapes) != 4:
        return None
    height, width = (int(side) for side in shapes[2:])
    return height if height == width else (height, width)


def _text(shapes: torch.Size | list[torch.Size]) -> str:
    shapes = shapes if isinstance(shapes, list) else [shapes]
    return ', '.join(str(tuple(shape)) for shape in shapes)
