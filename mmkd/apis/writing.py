"""The config of a distillation, as a person would write it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

from mmkd.apis.code import WIDTH, Name, assignment
from mmkd.apis.data.folder import FolderData
from mmkd.apis.pipelines import Reading
from mmkd.apis.recipe import Recipe
from mmkd.apis.tasks import SCOPES

_WORKERS = 4
_FEW = 64  # images that one process reads as fast


@dataclass
class Written:
    """The parts of a config.

    Args:
        title: first line.
        reasons: what was chosen and why, one line each.
        work_dir: where the run writes.
        bases: of ``_base_``.
        model: of the distiller.
        blocks: heading -> variables.
    """

    title: str
    reasons: list[str]
    work_dir: str
    bases: list[str] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """Return the file that is written to ``path``."""
        lines = [*_comment(self.title), '#']
        for reason in self.reasons:
            lines += _comment(f'- {reason}', '  ')
        lines += ['#', f'#     python tools/train.py {path}']
        bases: Any = self.bases if len(self.bases) > 1 else self.bases[0]
        lines.append(assignment('_base_', bases))
        imports = dict(imports=['mmkd'], allow_failed_imports=False)
        lines.append(assignment('custom_imports', imports))
        lines.append(assignment('work_dir', self.work_dir))
        for heading, values in self.blocks.items():
            lines += ['', *_comment(heading)]
            lines += [assignment(key, value) for key, value in values.items()]
        lines += ['', '# The distillation.', assignment('model', self.model)]
        lines += [
            'custom_hooks = [',
            "    dict(type='mmkd.DoctorHook'),  # looks before the first step",
            "    dict(type='mmkd.ExportStudentHook'),  # plain student.pth",
            ']',
        ]
        return '\n'.join(lines) + '\n'


def _comment(text: str, hanging: str = '') -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH - 1,
        initial_indent='# ',
        subsequent_indent=f'# {hanging}',
        break_long_words=False,
        break_on_hyphens=False,
    )


def data_block(
    data: FolderData, reading: Reading, recipe: Recipe
) -> dict[str, Any]:
    """Return the variables of data sets, loaders and evaluators."""
    by_iters = not recipe.by_epoch
    sampler = 'InfiniteSampler' if by_iters else 'DefaultSampler'
    train = dict(
        batch_size=recipe.batch_size,
        num_workers=Name('workers'),
        persistent_workers=Name('workers > 0'),
        sampler=dict(type=sampler, shuffle=True),
        dataset=dict(data.datasets['train'], pipeline=Name('train_pipeline')),
    )
    if not by_iters:
        train['drop_last'] = True
    found: dict[str, Any] = dict(root=str(data.root))
    found |= data.settings
    found |= reading.settings
    workers = 0 if data.train < _FEW else _WORKERS
    found |= dict(workers=workers, train_pipeline=reading.train)
    found['train_dataloader'] = train
    if 'val' not in data.datasets:
        return found
    found['val_pipeline'] = reading.val
    if data.task == 'segmentation':
        found['test_pipeline'] = Name('val_pipeline  # `mmseg.apis` wants it')
    one = data.task in ('segmentation', 'detection')
    found['val_dataloader'] = dict(
        batch_size=1 if one else recipe.batch_size,
        num_workers=Name('workers'),
        persistent_workers=Name('workers > 0'),
        sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
        dataset=dict(data.datasets['val'], pipeline=Name('val_pipeline')),
    )
    found['test_dataloader'] = Name('val_dataloader')
    found['val_evaluator'] = reading.evaluator
    found['test_evaluator'] = Name('val_evaluator')
    return found


def schedule_block(recipe: Recipe, evaluated: bool) -> dict[str, Any]:
    """Return the variables of optimizer, schedule and checkpoints."""
    key = 'max_epochs' if recipe.by_epoch else 'max_iters'
    found: dict[str, Any] = {key: recipe.length}
    found['optim_wrapper'] = recipe.optim_wrapper
    found['param_scheduler'] = recipe.param_scheduler
    train: dict[str, Any] = dict(type='IterBasedTrainLoop')
    if recipe.by_epoch:  # the base of mmpose has this key
        train = dict(by_epoch=True)
    train[key] = Name(key)
    if evaluated:
        train['val_interval'] = recipe.interval
    found['train_cfg'] = train
    if evaluated:
        found |= dict(
            val_cfg=dict(type='ValLoop'), test_cfg=dict(type='TestLoop')
        )
    checkpoint = dict(
        type='CheckpointHook', interval=recipe.interval, max_keep_ckpts=2
    )
    if not recipe.by_epoch:
        checkpoint['by_epoch'] = False
    logger = dict(type='LoggerHook', interval=50)
    if not recipe.by_epoch:
        logger['log_metric_by_epoch'] = False
    found['default_hooks'] = dict(checkpoint=checkpoint, logger=logger)
    if not recipe.by_epoch:
        found['log_processor'] = dict(by_epoch=False)
    found['randomness'] = dict(seed=0)
    return found


def runtime_of(task: str) -> str:
    """Return the base that a config without one of its own starts from."""
    return f'{SCOPES[task]}::_base_/default_runtime.py'
