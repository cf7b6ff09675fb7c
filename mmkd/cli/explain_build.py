"""Why something of a config cannot be built, by the key of the config."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

from mmengine import registry as root
from mmengine.config import Config
from torch.utils.data import DataLoader

import mmkd.registry as own
from mmkd.cli.frames import (
    Build,
    builds_of,
    file_of,
    frames_of,
    message_of,
    path_of,
    section_of,
    teacher_of,
)
from mmkd.cli.keys import offer
from mmkd.cli.signatures import parameters_of, shown, wrong_kinds

_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING = re.compile(
    r'missing \d+ required (?:positional|keyword-only) arguments?: (.*)'
)
# Arguments that the runner gives.
_NOT_OF_CONFIG = {
    'runner', 'dataloader', 'optimizer', 'model', 'cfg', 'args', 'kwargs',
}  # fmt: skip
_TELL_MORE = '(--traceback shows where)'


def explain_build(error: Exception, config: Config) -> str | None:
    """Return what is wrong in one line, or None if no key explains it.

    Args:
        error: raised while a run of ``config`` was set up.
        config: of the run.
    """
    frames = frames_of(error)
    builds = builds_of(frames)
    section = section_of(frames, config)
    if section is not None and not _inside(section[1], frames):
        return _in_section(error, config, *section)
    if not builds:
        return None
    return _in_build(error, config, builds, frames)


def _inside(frame: FrameType, frames: list[FrameType]) -> bool:
    """Whether a registry was building something inside ``frame``."""
    return bool(builds_of(frames[frames.index(frame) :]))


def place_of(config: Config, builds: list[Build], teacher: str | None) -> str:
    """Return the key of what was built, and its class."""
    build = builds[-1]
    path = path_of(config, build.config)
    if path is not None and teacher is None:
        return path if _is_unknown(build) else f'{path} ({build.name})'
    names = [build.name]
    for outer in reversed(builds[:-1]):
        path = path_of(config, outer.config)
        if path is not None:
            names = [f'{path} ({outer.name})', *names]
            break
        names = [outer.name, *names]
    if teacher is not None:
        names = [f'model.teacher, config={teacher}', build.name]
    return ' > '.join(names)


def _is_unknown(build: Build) -> bool:
    return build.cls is None


def _in_build(
    error: Exception,
    config: Config,
    builds: list[Build],
    frames: list[FrameType],
) -> str:
    build = builds[-1]
    place = place_of(config, builds, teacher_of(frames))
    text = message_of(error)
    if build.cls is None:
        return _without_class(build, place, text)
    unknown = _UNKNOWN.search(text)
    if unknown and isinstance(error, TypeError) and unknown[1] in build.given:
        known = _keys_of(build)
        return (
            f'{place} has the unknown key "{unknown[1]}"'
            f'{offer(unknown[1], known)}; it knows {", ".join(known)}'
        )
    missing = _MISSING.search(text)
    if missing and isinstance(error, TypeError):
        return _missing(place, build, missing[1])
    if isinstance(error, KeyError) and (layer := _unknown_layer(frames)):
        known = [n for n in _names_in(root.MODELS) if n.isupper()]
        return (
            f'{place}: there is no layer "{layer}"{offer(layer, known)}; '
            'correct the type in its norm_cfg, act_cfg, conv_cfg or the like'
        )
    layer = frames[-1].f_locals.get('cfg')
    if isinstance(layer, Mapping) and _in_mmcv(frames):
        return f'{place}: {text} (given: {shown(dict(layer))})'
    kinds = wrong_kinds(build.cls, build.given)
    if kinds:
        return f'{place}: {"; ".join(kinds)}'
    file = file_of(frames)
    if file is not None and file not in text:
        text = (
            f'the file "{file}" cannot be used, {type(error).__name__}: {text}'
        )
    return f'{place}: {_said(error, text)}{_given(build, text)}'


def _given(build: Build, text: str, most: int = 6) -> str:
    """Return the values that a message does not name."""
    plain = {
        key: value
        for key, value in build.given.items()
        if value is None or isinstance(value, (bool, int, float, str))
    }
    if not plain or any(re.search(rf'\b{key}\b', text) for key in plain):
        return ''
    values = ', '.join(
        f'{k}={shown(v)}' for k, v in list(plain.items())[:most]
    )
    return f' (given: {values})'


def _unknown_layer(frames: list[FrameType]) -> str | None:
    """Return the type of a layer that mmcv did not find."""
    own = frames[-1].f_locals
    name = own.get('layer_type', own.get('padding_type'))
    return name if _in_mmcv(frames) and isinstance(name, str) else None


def _in_mmcv(frames: list[FrameType]) -> bool:
    return str(frames[-1].f_globals.get('__name__')).startswith('mmcv.')


def _said(error: Exception, text: str) -> str:
    name = type(error).__name__
    if isinstance(error, (ValueError, FileNotFoundError)) or name in text:
        return text
    return f'{name}: {text} {_TELL_MORE}'


def _missing(place: str, build: Build, names: str) -> str:
    names = names.replace("'", '').replace(' and ', ', ').replace(',,', ',')
    wanted = [name.strip() for name in names.split(',')]
    unused = [k for k in build.given if k not in parameters_of(build.cls)]
    near = ''.join(offer(name, unused) for name in wanted)
    return (
        f'{place} lacks the key {", ".join(wanted)}{near}; it knows '
        f'{", ".join(_keys_of(build))}'
    )


def _keys_of(build: Build) -> list[str]:
    return [k for k in parameters_of(build.cls) if k not in _NOT_OF_CONFIG]


def _without_class(build: Build, place: str, text: str) -> str:
    config = build.config
    if not isinstance(config, Mapping):
        kind = type(config).__name__
        return f'{place}={shown(config)} is a {kind}: give a dict with "type"'
    if 'type' not in config:
        near = offer('type', config)
        return f'{place}={shown(dict(config))} has no key "type"{near}'
    kind = config['type']
    if not isinstance(kind, str):
        return f'{place}.type={shown(kind)}: give the name of a class'
    return unknown_type(place, kind, build.registry) or f'{place}: {text}'


def unknown_type(
    place: str, kind: str, registry: root.Registry | None
) -> str | None:
    """Say what may have been meant by a type that does not exist."""
    if registry is None:
        return None
    name = kind.rpartition('.')[2]
    ours = our_registry(registry.name)
    for scope, other in _relatives(registry, ours).items():
        if name in _names_in(other) and f'{scope}.{name}' != kind:
            there = f'write type="{scope}.{name}"'
            if scope == 'mmengine':
                there = f'write type="{name}"'
            return (
                f'{place}: type="{kind}" is not known in '
                f'{registry.scope}, but {scope} has it: {there}'
            )
    known = {n: n for n in _names_in(registry)}
    known |= {n: n for n in _names_in(registry.root)}
    if ours is not None:
        known |= {n: f'mmkd.{n}' for n in _names_in(ours)}
    near = offer(name, known)
    for found, written in known.items():
        near = re.sub(rf'\b{re.escape(found)}\b', written, near)
    return (
        f'{place}: type="{kind}" is in no registry of {registry.name}s'
        f'{near}. Correct the name; types of mmkd carry the prefix "mmkd.", '
        'those of other packages theirs'
    )


def our_registry(name: str) -> root.Registry | None:
    """Return mmkd's registry for what mmengine calls ``name``."""
    for value in vars(own).values():
        if isinstance(value, own.TaskRegistry) and value.name == name:
            return value
    return None


def _relatives(
    registry: root.Registry, ours: root.Registry | None
) -> dict[str, root.Registry]:
    found = {} if ours is None else {'mmkd': ours}
    top = registry.root
    found |= {'mmengine': top, **top.children}
    return found


def _names_in(registry: root.Registry) -> Iterable[str]:
    registry.import_from_location()
    more = own.TASK_MODULES if isinstance(registry, own.TaskRegistry) else ()
    return {*registry.module_dict, *more}


def _in_section(
    error: Exception, config: Config, section: str, frame: FrameType
) -> str | None:
    text = message_of(error)
    value: Any = config.get(section)
    if 'first argument must be callable' in text:  # of functools.partial
        kind = (value.get('collate_fn') or {}).get('type')
        return unknown_type(f'{section}.collate_fn', str(kind), root.FUNCTIONS)
    if section == 'optim_wrapper' and 'None is not a callable' in text:
        kind = (value.get('optimizer') or {}).get('type')
        place = 'optim_wrapper.optimizer'
        return unknown_type(place, str(kind), root.OPTIMIZERS)
    unknown, missing = _UNKNOWN.search(text), _MISSING.search(text)
    if isinstance(error, TypeError) and (unknown or missing):
        cls = _called(section, text, frame)
        known = [
            key for key in parameters_of(cls) if key not in _NOT_OF_CONFIG
        ]
        knows = f'; it knows {", ".join(known)}' if known else ''
        if unknown:
            wrong = unknown[1]
            return (
                f'{section} has the unknown key "{wrong}"'
                f'{offer(wrong, known)}{knows}'
            )
        names = missing[1].replace("'", '')  # type: ignore[index]
        return f'{section} lacks the key {names}{knows}'
    if isinstance(error, KeyError) and isinstance(value, Mapping):
        near = offer(text, value)
        return f'{section}={shown(dict(value))} has no key "{text}"{near}'
    if isinstance(value, Mapping):
        cls = _called(section, text, frame)
        kinds = wrong_kinds(cls, value) if cls is not None else []
        if kinds:
            return f'{section}: {"; ".join(kinds)}'
    return f'{section}={shown(value)}: {_said(error, text)}'


def _called(section: str, text: str, frame: FrameType) -> Any:
    """Return what was called with the items of a section."""
    if section.endswith('_dataloader'):
        return DataLoader
    kind = frame.f_locals.get('kind')
    if section == 'train_cfg' and inspect.isclass(kind):
        return kind  # a loop in the place of mmengine's
    name = text.partition('(')[0].rpartition('.__init__')[0]
    found = frame.f_globals.get(name or text.partition('(')[0])
    if found is None and (self := frame.f_locals.get('self')) is not None:
        found = getattr(self, text.partition('(')[0].rpartition('.')[2], None)
    if found is None and section == 'train_cfg':
        by_epoch = frame.f_locals.get('by_epoch')
        name = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
        found = frame.f_globals.get(name)
    if found is None and section == 'randomness':
        found = getattr(frame.f_locals.get('self'), 'set_randomness', None)
    return found if callable(found) or inspect.isclass(found) else None
