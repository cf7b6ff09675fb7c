"""From what was found to the parts of the config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmkd.apis.case import Case
from mmkd.apis.code import Name
from mmkd.apis.named import Named
from mmkd.apis.pipelines import reading
from mmkd.apis.places import Places
from mmkd.apis.recipe import Recipe, make_recipe
from mmkd.apis.tasks import CLASSES
from mmkd.apis.writing import (
    Written,
    data_block,
    runtime_of,
    schedule_block,
)
from mmkd.checkpoints.address import is_address
from mmkd.checkpoints.read import read_checkpoint
from mmkd.networks import load_config

_MANY = 10**9  # images of a config, which are not counted


def compose(
    case: Case, folder: Path, epochs: int | None, batch_size: int | None
) -> Written:
    """Return the config of a case.

    Args:
        case: networks, data, method.
        folder: where the run writes.
        epochs, batch_size: others than those of the student, or None.

    Raises:
        ValueError: they are no numbers, or are no matter of this config.
    """
    written = Written(
        f'{case.student.short} learns from {case.teacher.short}: '
        f'{case.student.task}.',
        [
            f'method {case.method}: {"; ".join(case.plan.notes)}',
            f'student {_describe(case.student, case.ours)}'
            + (f'; here {case.classes}' if case.options else ''),
            f'teacher {_describe(case.teacher, case.theirs)}',
        ],
        str(folder / 'run'),
    )
    if case.data is not None:
        _add_folder(case, written, epochs, batch_size)
    elif case.config == case.student.config:
        _add_own(case, written, epochs, batch_size)
    else:
        _add_config(case, written, epochs, batch_size)
    written.model |= dict(
        teacher=_teacher(case.teacher),
        taps=case.plan.taps,
        losses=case.plan.losses,
    )
    return written


def _describe(named: Named, places: Places) -> str:
    text = named.short
    if places.classes is not None:
        text += f': {places.classes} {CLASSES[named.task]}'
    if named.weights is not None:
        published = is_address(named.weights)
        text += f', {"published" if published else "own"} weights'
    return text


def _distiller(student: Any, replaces: bool) -> dict[str, Any]:
    model = dict(_delete_=True) if replaces else {}
    return model | dict(type='mmkd.OfflineDistiller', student=student)


def _add_own(
    case: Case, written: Written, epochs: int | None, batch_size: int | None
) -> None:
    """Data and schedule are those of the student's own config."""
    if epochs or batch_size:
        raise ValueError(
            'epochs and batch_size are those of the config that has the '
            'data; change them there, or in the config that is written'
        )
    name = str(case.student.config)
    written.bases = [_file(name)]
    written.reasons.append(f'data and schedule of {name}')
    student: Any = Name('_base_.model')
    if case.student.weights is not None:
        student = _student(case, {})
    written.model = _distiller(student, replaces=True)


def _add_config(
    case: Case, written: Written, epochs: int | None, batch_size: int | None
) -> None:
    """The data have a config; the schedule may be in it, too."""
    name = str(case.config)
    config = load_config(name)
    written.bases = [_file(name)]
    if 'default_scope' not in config:
        written.bases.append(runtime_of(case.student.task))
    written.reasons.append(f'data of {name}')
    if 'train_cfg' not in config or epochs:
        recipe = make_recipe(
            case.student.run, case.student.task, _MANY, epochs, batch_size
        )
        _add_schedule(written, recipe, bool(config.get('val_dataloader')))
    written.model = _distiller(_student(case, {}), 'model' in config)


def _add_folder(
    case: Case, written: Written, epochs: int | None, batch_size: int | None
) -> None:
    """The data are a folder: everything is written out."""
    data, student = case.data, case.student
    if data is None:
        return
    recipe = make_recipe(
        student.run, student.task, data.train, epochs, batch_size
    )
    found = reading(student, data)
    written.bases = [runtime_of(student.task)]
    written.reasons.append(
        f'data {data.root}: {data.layout}; {len(data.classes)} '
        f'{CLASSES[data.task]}, {data.train} for training, '
        f'{data.val or "none"} for validation; {"; ".join(found.notes)}'
    )
    head = f'Data: {data.train} for training' + (
        f', {data.val} for validation.' if data.val else '.'
    )
    written.blocks[head] = data_block(data, found, recipe)
    _add_schedule(written, recipe, bool(data.val))
    written.model = _distiller(_student(case, found.options), False)


def _add_schedule(written: Written, recipe: Recipe, evaluated: bool) -> None:
    notes = '; '.join(f'{k}: {v}' for k, v in recipe.notes.items())
    written.reasons.append(f'schedule: {notes}')
    head = "Schedule: that of the student's config."
    written.blocks[head] = schedule_block(recipe, evaluated)


def _file(name: str) -> str:
    """Return the name of a config from any folder."""
    return name if '::' in name else str(Path(name).resolve())


def _student(case: Case, options: dict[str, Any]) -> dict[str, Any]:
    """Return the student by name, with what changes in its config."""
    found: dict[str, Any] = dict(config=_file(str(case.student.config)))
    changes = case.options | options
    if case.student.weights is not None:
        changes['model.init_cfg'] = _start(case.student.weights)
    if changes:
        found['cfg_options'] = changes
    return found


def _start(weights: str) -> dict[str, Any]:
    """Return the ``init_cfg`` that starts from a checkpoint of ours."""
    start = dict(type='Pretrained', checkpoint=_checkpoint(weights))
    state = read_checkpoint(weights)['state_dict']
    if any(key.startswith('student.') for key in state):
        start['prefix'] = 'student.'
    return start


def _checkpoint(weights: str) -> str:
    return weights if is_address(weights) else str(Path(weights).resolve())


def _teacher(teacher: Named) -> dict[str, Any]:
    config = teacher.config
    if isinstance(config, str):
        config = _file(config)
    weights = teacher.weights
    return dict(
        config=config,
        checkpoint=None if weights is None else _checkpoint(weights),
    )
