"""What a call of ``distill`` is about: networks, data, method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmkd.apis.data.find import find_data
from mmkd.apis.data.folder import FolderData
from mmkd.apis.heads import class_options
from mmkd.apis.methods import choose_method
from mmkd.apis.named import Named, find_network
from mmkd.apis.pair import Pair
from mmkd.apis.places import Places, find_places
from mmkd.apis.plans import Plan
from mmkd.apis.tasks import TASK_OF
from mmkd.networks import load_config


@dataclass
class Case:
    """What was found before anything is written.

    Args:
        student, teacher: the networks.
        ours, theirs: where they have what methods compare.
        data: the folder of images, or None.
        config: name of the config that has the data, or None.
        classes: those that the student learns.
        method: name of the method.
        plan: what it adds to the config.
        options: changes to the student's config, for these classes.
    """

    student: Named
    teacher: Named
    ours: Places
    theirs: Places
    data: FolderData | None
    config: str | None
    classes: int | None
    method: str
    plan: Plan
    options: dict[str, Any]


def examine(student: Any, teacher: Any, data: Any, method: str) -> Case:
    """Find networks, data and method.

    Args: see `mmkd.apis.distill`.

    Raises: see `mmkd.apis.distill`.
    """
    one, two = (
        find_network(student, 'student'),
        find_network(teacher, 'teacher'),
    )
    if one.task != two.task:
        raise ValueError(
            f'student="{one.given}" is a network for {one.task}, and '
            f'teacher="{two.given}" one for {two.task}: both must do the '
            'same'
        )
    if two.weights is None and isinstance(two.config, str):
        raise ValueError(
            f'teacher="{two.given}" has no weights: train it first (python '
            f'tools/train.py {two.config}), or give its checkpoint after the '
            'config'
        )
    folder, config = _find_data(data, one)
    ours = find_places(one.model, one.task, 'student')
    theirs = find_places(two.model, one.task, 'teacher')
    classes = _classes(one, ours, theirs, folder)
    _check_order(folder, two)
    pair = Pair(one.task, ours, theirs, classes)
    name, plan = choose_method(method, pair)
    options = {}
    if classes is not None:
        options = class_options(one.model, one.task, ours.classes, classes)
    return Case(
        one, two, ours, theirs, folder, config, classes, name, plan, options
    )


def _find_data(
    data: Any, student: Named
) -> tuple[FolderData | None, str | None]:
    """Return the folder, or the name of the config that has the data."""
    if data is not None and not str(data).endswith('.py'):
        return find_data(Path(data), student.task), None
    name = student.config if data is None else str(data)
    if not isinstance(name, str):
        raise ValueError(
            f'data is not given, and student="{student.given}" has no config '
            'with data: give data=FOLDER'
        )
    run = student.run if data is None else load_config(name)
    if not run.get('train_dataloader'):
        raise ValueError(
            f'data="{name}" has no train_dataloader: give a folder, or a '
            'config with data'
        )
    scope = run.get('default_scope')
    if scope in TASK_OF and TASK_OF[scope] != student.task:
        raise ValueError(
            f'data="{name}" is for {TASK_OF[scope]}, but the student is a '
            f'network for {student.task}'
        )
    return None, name


def _classes(
    student: Named, ours: Places, theirs: Places, data: FolderData | None
) -> int | None:
    """Return how many classes the student learns.

    Masks without names may hold fewer labels than there are classes.
    """
    if data is None:
        return ours.classes
    count = len(data.classes)
    if data.named:
        return count
    for places in (theirs, ours):
        if places.classes is not None and count < places.classes <= count + 2:
            names = [f'class {k}' for k in range(places.classes)]
            data.classes = tuple(names)
            data.settings['classes'] = names
            data.settings['palette'] += [[0, 0, 0]] * (len(names) - count)
            return places.classes
    return count


def _check_order(data: FolderData | None, teacher: Named) -> None:
    """Refuse a teacher that knows the same classes in another order."""
    if data is None or not data.named or not teacher.classes:
        return
    if teacher.classes != data.classes and sorted(teacher.classes) == sorted(
        data.classes
    ):
        raise ValueError(
            f'teacher="{teacher.given}" has learnt the classes in the order '
            f'{", ".join(teacher.classes)}, but the data have them as '
            f'{", ".join(data.classes)}: it would teach wrong answers; '
            'rename the classes or train it again'
        )
