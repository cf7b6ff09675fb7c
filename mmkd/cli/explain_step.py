"""Why the first step of a run fails, by the key of the config."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import FrameType
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmkd.cli.errors import worker_text
from mmkd.cli.frames import frames_of, message_of, runner_of
from mmkd.engine.hooks.terminal_line_hook import steps_done
from mmkd.utils.dist import unwrapped

_ONE_VALUE = 'Expected more than 1 value per channel when training'
_MEMORY = re.compile(r'out of memory|DefaultCPUAllocator', re.IGNORECASE)
_TELL_MORE = '(--traceback shows where)'


def explain_step(error: Exception, config: Config) -> str | None:
    """Return what is wrong in one line, or None if no key explains it.

    Args:
        error: that came out of a running loop.
        config: of the run.
    """
    frames = frames_of(error)
    runner = runner_of(frames)
    if runner is None:
        return None
    text = worker_text(error) or message_of(error)
    module = _module(frames, runner)
    loader = _loader(frames, runner)
    size = (config.get(loader) or {}).get('batch_size')
    if _ONE_VALUE in text:
        return (
            f'{module or "model"}: batch norm in training needs more than one '
            f'value per channel, and got {text.rpartition("got ")[2]}: a '
            f'batch of one image. Set {loader}.batch_size (now {size}) to 2 '
            f'or more, or {loader}.drop_last=True if the last batch of an '
            'epoch is the small one'
        )
    if _MEMORY.search(text) and isinstance(error, (RuntimeError, MemoryError)):
        first = text.split('. ')[0]
        return (
            f'{module or "model"}: {first}. Lower {loader}.batch_size (now '
            f'{size}) or the size of the images, or train with --amp'
        )
    if re.search(r'Target -?\d+ is out of bounds|device-side assert', text):
        return (
            f'{module or "model"}: {text}: labels lie outside of '
            'num_classes; correct num_classes of the head, or the label map '
            'of the data set'
        )
    if steps_done(runner) and loader == 'train_dataloader':
        return None
    place = _place(frames, module, loader)
    if place is None:
        return None
    return f'{place}: {type(error).__name__}: {text} {_TELL_MORE}'


def _loader(frames: Sequence[FrameType], runner: Runner) -> str:
    """Return the key of the data loader whose loop was running."""
    for frame in reversed(frames):
        loop = frame.f_locals.get('self')
        if isinstance(loop, BaseLoop) and frame.f_code.co_name.startswith(
            'run'
        ):
            if loop is getattr(runner, '_val_loop', None):
                return 'val_dataloader'
            if loop is getattr(runner, '_test_loop', None):
                return 'test_dataloader'
            return 'train_dataloader'
    return 'train_dataloader'


def _module(frames: Sequence[FrameType], runner: Runner) -> str | None:
    """Return the path of the innermost module that was running."""
    model = unwrapped(runner.model)
    names = {id(m): name for name, m in model.named_modules()}
    for index, teacher in enumerate(getattr(model, 'teachers', ())):
        for name, part in teacher.named_modules():
            names[id(part)] = f'teacher[{index}].{name}'
    for frame in reversed(frames):
        module: Any = frame.f_locals.get('self')
        if isinstance(module, nn.Module) and id(module) in names:
            path = '.'.join(filter(None, ('model', names[id(module)])))
            return f'{path} ({type(module).__name__}{_form(module)})'
    return None


def _form(module: nn.Module) -> str:
    """Return numbers of channels, which most mistakes are about."""
    sides = [
        getattr(module, key, None)
        for key in ('in_features', 'out_features')
        if hasattr(module, key)
    ] or [
        getattr(module, key, None)
        for key in ('in_channels', 'out_channels')
        if hasattr(module, key)
    ]
    if len(sides) != 2 or not all(isinstance(s, int) for s in sides):
        return ''
    return f' {sides[0]} -> {sides[1]}'


def _place(
    frames: Sequence[FrameType], module: str | None, loader: str
) -> str | None:
    for frame in reversed(frames):
        name, owner = frame.f_code.co_name, frame.f_locals.get('self')
        if 'collate' in name and 'batch' in name + str(frame.f_locals.keys()):
            return f'{loader}.collate_fn ({name})'
        if isinstance(owner, BaseMetric):
            which = loader.replace('dataloader', 'evaluator')
            return f'{which} ({type(owner).__name__})'
        if isinstance(owner, nn.Module) and module is not None:
            return module
        if isinstance(owner, OptimWrapper):
            return f'optim_wrapper ({type(owner).__name__})'
        if name == 'call_hook' and 'hook' in frame.f_locals:
            owner = frame.f_locals['hook']
        if isinstance(owner, Hook):
            return f'hook {type(owner).__name__}'
        data = getattr(owner, 'dataset', None)
        if data is not None and name in ('fetch', '_process_data'):
            return f'{loader}.dataset ({_dataset(data)})'
        if isinstance(owner, DataLoader):
            return f'{loader}.dataset ({_dataset(owner.dataset)})'
    return None


def _dataset(data: Any) -> str:
    return type(data).__name__
