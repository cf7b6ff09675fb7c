"""Distil a network by one call: finds, chooses, writes a config, runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from mmkd.apis.case import Case, examine
from mmkd.apis.compose import compose
from mmkd.apis.methods import AUTO
from mmkd.apis.places import bare
from mmkd.apis.quiet import quiet
from mmkd.apis.running import run_config
from mmkd.checkpoints.address import is_address
from mmkd.networks import inherit_preprocessor, network_dict
from mmkd.registry import MODELS

FILE = 'distill.py'


def distill(
    student: Any,
    teacher: Any,
    data: str | Path | None = None,
    method: str = AUTO,
    out: str | Path | None = None,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    run: bool = True,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Distil ``student`` from ``teacher`` on ``data``.

    Writes a config that ``tools/train.py`` runs, rehearses it, and runs it.

    Args:
        student: a network: ``'mmseg::….py'``, the path of a config, a
            checkpoint of a run (its config lies beside it), or (config,
            checkpoint).
        teacher: the same, or ``'timm:NAME'``. Without a checkpoint its
            weights are the published ones, or the newest of its own run.
        data: a folder (`mmkd.apis.tasks.LAYOUTS`) or the config of a data
            set; without, those of the student's config.
        method: a name (`mmkd.apis.methods.METHODS`), or ``'auto'``.
        out: folder for config and run; default
            ``work_dirs/STUDENT_TEACHER``.
        epochs: length of the training; default: that of the student.
        batch_size: default: that of the student.
        run: train, or write the config only.
        say: gets what was chosen, line by line; default: the log.

    Returns:
        The path of the config.

    Raises:
        FileNotFoundError, ImportError, TypeError, ValueError: one sentence
            about what does not fit.
    """
    say = say or _log
    case = examine(student, teacher, data, method)
    folder = Path(out) if out else _folder(case)
    written = compose(case, folder, epochs, batch_size)
    for line in (written.title, *written.reasons):
        say(line)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(written.text(str(path)), encoding='utf-8')
    rehearse(path, case.student.model['_scope_'])
    say(f'written and rehearsed: {path}')
    if run:
        run_config(path, say)
    return path


def _log(text: str) -> None:
    print_log(text, logger='current', level=logging.INFO)


def _folder(case: Case) -> Path:
    return Path('work_dirs') / f'{case.student.short}_{case.teacher.short}'


def rehearse(path: Path, scope: str) -> None:
    """Build the distiller of a config, which tries networks and losses.

    Nothing is downloaded: a teacher of published weights is tried with
    random ones.

    Args:
        path: of the config.
        scope: repository of the networks.

    Raises:
        ValueError: something does not fit.
    """
    config = Config.fromfile(path)
    model: Any = config.model
    inherit_preprocessor(model, config.get('data_preprocessor'))
    teacher = model.teacher
    if teacher.checkpoint is None or is_address(teacher.checkpoint):
        teacher.config = bare(network_dict(teacher.config, scope))
        teacher.checkpoint = None
    with DefaultScope.overwrite_default_scope(scope), quiet():
        MODELS.build(model)
