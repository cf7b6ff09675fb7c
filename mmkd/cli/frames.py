"""What a traceback tells about the config: who was being built or run."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine.config import Config
from mmengine.registry.build_functions import build_from_cfg
from mmengine.runner import BaseLoop, Runner

_ITEMS_OF_PARTS = {'on', 'teacher', '_scope_'}  # read before the build
_FILES = (
    'ann_file', 'annotation_file', 'filename', 'filepath', 'file_path',
    'file', 'path', 'f', 'fp',
)  # fmt: skip
# Runner's method -> key of the config that it reads.
_SECTIONS = {
    '_build_param_scheduler': 'param_scheduler',
    'build_log_processor': 'log_processor',
    'build_logger': 'log_level',
    'build_model': 'model',
    'build_optim_wrapper': 'optim_wrapper',
    'build_param_scheduler': 'param_scheduler',
    'build_test_loop': 'test_cfg',
    'build_train_loop': 'train_cfg',
    'build_val_loop': 'val_cfg',
    'build_visualizer': 'visualizer',
    'register_custom_hooks': 'custom_hooks',
    'register_default_hooks': 'default_hooks',
    'scale_lr': 'auto_scale_lr',
    'set_randomness': 'randomness',
    'setup_env': 'env_cfg',
    'wrap_model': 'model_wrapper_cfg',
}
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_EVALUATORS = ('val_evaluator', 'test_evaluator')


def frames_of(error: BaseException) -> list[FrameType]:
    """Return the frames of a traceback, outermost first."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def message_of(error: BaseException) -> str:
    """Return the text of an error in one line; of a bare one, its source."""
    text = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1:
        text = str(error.args[0])
    if not text:
        frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
        text = linecache.getline(frame.f_code.co_filename, line)
    return ' '.join(text.split())


@dataclass(frozen=True)
class Build:
    """Something that a registry was building.

    Args:
        config: its dict.
        cls: what is called; None if the type is not known.
        given: the arguments.
        registry: where the type is looked up.
    """

    config: Any
    cls: Any
    given: Mapping[str, Any]
    registry: Any

    @property
    def name(self) -> str:
        """Name of the class."""
        kind = self.cls
        if kind is None and isinstance(self.config, Mapping):
            kind = self.config.get('type')
        return str(getattr(kind, '__name__', kind))


def builds_of(frames: Sequence[FrameType]) -> list[Build]:
    """Return what was being built, outermost first."""
    found = []
    for frame in frames:
        if frame.f_code is build_from_cfg.__code__:
            own = frame.f_locals
            found.append(
                Build(
                    own.get('cfg'),
                    own.get('obj_cls'),
                    own.get('args') or {},
                    own.get('registry'),
                )
            )
    return found


def in_loop(frames: Sequence[FrameType]) -> bool:
    """Return whether the error came out of a running loop."""
    return any(
        frame.f_code.co_name == 'run'
        and isinstance(frame.f_locals.get('self'), BaseLoop)
        for frame in frames
    )


def runner_of(frames: Sequence[FrameType]) -> Runner | None:
    """Return the runner that was running or being built."""
    for frame in frames:
        if isinstance(found := frame.f_locals.get('self'), Runner):
            return found
    return None


def section_of(
    frames: Sequence[FrameType], config: Config
) -> tuple[str, FrameType] | None:
    """Return the top-level key that a runner was reading, and where."""
    for frame in reversed(frames):
        name = frame.f_code.co_name
        own = frame.f_locals
        if name == 'build_dataloader':
            return _which(config, _LOADERS, own.get('dataloader')), frame
        if not isinstance(own.get('self'), Runner):
            continue
        if name == 'build_evaluator':
            return _which(config, _EVALUATORS, own.get('evaluator')), frame
        if name in _SECTIONS:
            return _SECTIONS[name], frame
    return None


def _which(config: Config, keys: Sequence[str], value: Any) -> str:
    """Return the key among some whose value this is."""
    for key in keys:
        given = config.get(key)
        if given is not None and _same(given, value):
            return key
    return keys[0]


def teacher_of(frames: Sequence[FrameType]) -> str | None:
    """Return the config of the teacher that was being built."""
    from mmkd.models.distillers.teacher import Teacher

    for frame in frames:
        own = frame.f_locals
        if isinstance(own.get('self'), Teacher) and 'checkpoint' in own:
            config = own.get('config')
            if isinstance(config, Mapping):
                config = config.get('config', 'dict(...)')
            return str(config)
    return None


def file_of(frames: Sequence[FrameType]) -> str | None:
    """Return the file that was being read where an error arose."""
    for frame in reversed(frames):
        if frame.f_code is build_from_cfg.__code__:
            return None
        own = frame.f_locals
        values = [own.get(name) for name in _FILES]
        values.append(getattr(own.get('self'), 'ann_file', None))
        for value in values:
            value = getattr(value, 'name', value)
            if isinstance(value, (str, Path)) and Path(value).suffix:
                return str(value)
    return None


def path_of(config: Config, value: Any) -> str | None:
    """Return the key of ``config`` that holds ``value``, e.g. ``model.head``.

    What was added to a dict on the way, or read before, does not count.
    """
    best, most = None, -1
    for path, found in walk(config):
        if isinstance(value, Mapping):
            if not isinstance(found, Mapping) or not _fits(found, value):
                continue
            if len(found) > most:
                best, most = path, len(found)
        elif type(found) is type(value) and _same(found, value):
            return path
    return best


def walk(config: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Return every value of nested dicts and lists with its path."""
    if path:
        yield path, config
    if isinstance(config, (Mapping, Config)):
        for key, value in config.items():
            yield from walk(value, f'{path}.{key}' if path else str(key))
    elif isinstance(config, (list, tuple)):
        for index, value in enumerate(config):
            yield from walk(value, f'{path}[{index}]')


def _fits(found: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    if found.get('type') != value.get('type'):
        return False
    return all(
        key in _ITEMS_OF_PARTS
        or item == 'auto'
        or (key in value and _same(item, value[key]))
        for key, item in found.items()
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        # A constructor may have taken keys out, or filled some in.
        shared = [k for k in one if k in other and k != '_scope_']
        return one.get('type') == other.get('type') and all(
            _same(one[key], other[key]) for key in shared
        )
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    try:
        return bool(one == other)
    except (RuntimeError, ValueError):  # arrays
        return one is other
