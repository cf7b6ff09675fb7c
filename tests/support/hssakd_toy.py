"""Small configs of HSAKD and HSSAKD on synthetic scenes, as files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmkd.registry import MODELS
from mmkd.toys import toy_dataset
from tests.support.hssakd_golden import NETWORK, TAPS

CLASSES = 7
BRANCHES = dict(type='mmkd.HierarchicalBranches', num_classes=CLASSES)
KL = dict(type='mmkd.KLDivLoss', temperature=3.0)


def network() -> dict[str, Any]:
    """Return a residual network of 4 to 8 channels for the scenes."""
    found = copy.deepcopy(NETWORK)
    found['head'].update(num_classes=CLASSES)
    return found


def method(kind: str, folder: Path) -> dict[str, Any]:
    """Return the model of a 'teacher', a 'student' or of 'online' peers."""
    common: dict[str, Any] = dict(
        views=dict(type='mmkd.RotationViews'),
        taps=dict(TAPS),
        aux_heads=dict(joint=dict(on='stages', **BRANCHES)),
        input_shape=(3, 32, 32),
    )
    if kind == 'online':
        return dict(
            type='mmkd.OnlineDistiller',
            cohort=dict(type='mmkd.Cohort', peers=[network(), network()]),
            exchange=dict(type='mmkd.HierarchicalMutualExchange'),
            **common,
        )
    offline = dict(type='mmkd.OfflineDistiller', student=network(), **common)
    if kind == 'teacher':
        losses = dict(joint=dict(type='mmkd.JointLabelLoss', on='joint'))
        return dict(**offline, losses=losses)
    losses = dict(kl_q=dict(on='joint', **KL), kl_p=dict(on='logits', **KL))
    teacher = dict(config=network(), checkpoint=str(folder / 'teacher.pth'))
    return dict(**offline, losses=losses, teacher=teacher)


def config(kind: str, folder: Path, size: tuple[int, int] = (32, 32)) -> Any:
    """Return a config of two steps and a validation.

    A student's teacher is written to ``folder/teacher.pth``.
    """
    if kind == 'student':
        torch.manual_seed(0)
        teacher = MODELS.build(method('teacher', folder))
        state = dict(state_dict=teacher.state_dict())
        torch.save(state, folder / 'teacher.pth')

    def loader(split: str) -> dict[str, Any]:
        return dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=toy_dataset('classification', 8, size=size, split=split),
        )

    metric: dict[str, Any] = dict(type='Accuracy', topk=(1,))
    if kind == 'online':
        metric = dict(type='mmkd.PeerMetric', metric=metric)
    return Config(
        dict(
            default_scope='mmpretrain',
            model=method(kind, folder),
            train_dataloader=loader('train'),
            val_dataloader=loader('val'),
            val_evaluator=metric,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            val_cfg=dict(),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
            ),
            work_dir=str(folder / 'run'),
        )
    )
