"""How the student's own config trains it, for another folder of images."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmkd.utils.types import type_name

#: where the student's config says nothing
_DEFAULTS = dict(
    classification=(32, 100, 'SGD', 0.02),
    segmentation=(8, 100, 'SGD', 0.01),
    pose=(32, 100, 'Adam', 5e-4),
    detection=(4, 24, 'SGD', 0.005),
)


@dataclass
class Recipe:
    """Batch size, optimizer and length of a training.

    Args:
        batch_size: of one step.
        by_epoch: else by iterations.
        length: epochs or iterations.
        interval: of validation and checkpoints.
        optim_wrapper: of the config.
        param_scheduler: of the config.
        notes: what was chosen and why.
    """

    batch_size: int
    by_epoch: bool
    length: int
    interval: int
    optim_wrapper: dict[str, Any]
    param_scheduler: list[dict[str, Any]]
    notes: dict[str, str] = field(default_factory=dict)


def make_recipe(
    run: Config,
    task: str,
    count: int,
    epochs: int | None = None,
    batch_size: int | None = None,
) -> Recipe:
    """Return the recipe of the student's config, for ``count`` images.

    Args:
        run: config of the student; may lack any part.
        task: a task.
        count: images (or instances) for training.
        epochs: other length than its own.
        batch_size: another one.

    Raises:
        ValueError: ``epochs`` or ``batch_size`` is no positive number.
    """
    for key, value in dict(epochs=epochs, batch_size=batch_size).items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f'{key}={value!r} must be a positive number')
    usual, length, optimizer, lr = _DEFAULTS[task]
    loader = run.get('train_dataloader') or {}
    own = loader.get('batch_size', usual)
    size = min(batch_size or own, count)
    notes = {}
    if size < (batch_size or own):
        notes['batch_size'] = f'{own}, but there are {count} images'
    wrapper = _plain(
        run.get('optim_wrapper')
        or dict(
            type='OptimWrapper',
            optimizer=dict(type=optimizer, lr=lr)
            | (dict(momentum=0.9) if optimizer == 'SGD' else {}),
        )
    )
    if type_name(wrapper.get('type', '')) == 'AmpOptimWrapper':
        wrapper['type'] = 'OptimWrapper'  # --amp switches it on
        wrapper.pop('loss_scale', None)
        wrapper.pop('dtype', None)
    _scale_rate(wrapper, run, size, notes)
    train = run.get('train_cfg') or {}
    by_iters = 'max_iters' in train
    steps = max(1, count // size)
    had = train.get('max_iters') or train.get('max_epochs') or length
    if epochs is not None:
        wanted = epochs * steps if by_iters else epochs
    else:
        wanted = had
    schedulers = run.get('param_scheduler') or []
    if not isinstance(schedulers, (list, tuple)):
        schedulers = [schedulers]
    scheduled = [_scaled(_plain(s), wanted / had, steps) for s in schedulers]
    interval = max(1, wanted // 10)
    if not by_iters and train.get('val_interval'):
        interval = min(interval, int(train['val_interval']))
    notes['length'] = (
        f'{"iterations" if by_iters else "epochs"} '
        + ('as asked for' if epochs else "of the student's config")
        + f', {steps} steps per epoch'
    )
    return Recipe(
        size, not by_iters, wanted, interval, wrapper, scheduled, notes
    )


def _scale_rate(
    wrapper: dict[str, Any], run: Config, size: int, notes: dict[str, str]
) -> None:
    """Scale the learning rate with the batch size.

    Linearly, for kinds of Adam by the square root;
    ``auto_scale_lr.base_batch_size`` says for which size it was chosen.
    """
    base = (run.get('auto_scale_lr') or {}).get('base_batch_size')
    optimizer = wrapper.get('optimizer') or {}
    if not base or 'lr' not in optimizer or base == size:
        return
    factor = size / base
    if 'Adam' in type_name(optimizer.get('type', '')):
        factor **= 0.5
    lr = float(f'{optimizer["lr"] * factor:.3g}')
    notes['lr'] = f'{lr} for batches of {size}, {optimizer["lr"]} of {base}'
    optimizer['lr'] = lr


def _scaled(
    scheduler: dict[str, Any], factor: float, steps: int
) -> dict[str, Any]:
    """Return a scheduler for a training ``factor`` times as long.

    One by iterations beside epochs (warm-up) is cut at one epoch.
    """
    kept = dict(scheduler)
    warm_up = type_name(kept.get('type', '')) == 'LinearLR'
    if factor == 1 and not warm_up:
        return kept
    for key in ('begin', 'end', 'T_max', 'milestones', 'step_size'):
        value = kept.get(key)
        if isinstance(value, (list, tuple)):
            kept[key] = [max(1, math.floor(v * factor)) for v in value]
        elif isinstance(value, (int, float)) and math.isfinite(value):
            lowest = 0 if key == 'begin' else 1
            if warm_up and kept.get('by_epoch') is False:
                value = min(value, max(1, 5 * steps))
            kept[key] = max(
                lowest,
                math.floor(
                    value * min(factor, 1.0) if warm_up else value * factor
                ),
            )
    return kept


def first_step(run: Config, *names: str) -> dict[str, Any] | None:
    """Return the first transform of these names in the training pipeline.

    Args:
        run: config of the student.
        names: of the classes.
    """
    for loader in ('train_dataloader', 'test_dataloader'):
        for step in _steps(run.get(loader)):
            if type_name(step.get('type', '')) in names:
                return _plain(step)
    return None


def test_step(run: Config, *names: str) -> dict[str, Any] | None:
    """Return the first transform of these names in the test pipeline."""
    for step in _steps(run.get('test_dataloader')):
        if type_name(step.get('type', '')) in names:
            return _plain(step)
    return None


def _steps(value: Any) -> Iterator[Mapping[str, Any]]:
    """Return all transforms inside a data loader, wrapped or not."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if key in ('pipeline', 'transforms') and isinstance(
                entry, (list, tuple)
            ):
                for step in entry:
                    if isinstance(step, Mapping):
                        yield step
                        yield from _steps(step)
                    else:
                        yield from _steps(step)
            else:
                yield from _steps(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _steps(entry)


def _plain(value: Any) -> Any:
    """Return plain dicts and lists of a config's value, without scopes."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if k != '_scope_'}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry) for entry in value)
    return copy.copy(value)
