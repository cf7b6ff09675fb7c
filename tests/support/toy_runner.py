"""Real runners on synthetic data, a few steps long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.toys import TASKS, toy_dataset

SCOPES = dict(
    zip(
        ('classification', 'segmentation', 'pose', 'detection'),
        ('mmpretrain', 'mmseg', 'mmpose', 'mmdet'),
        strict=True,
    )
)


class Interruption(Exception):
    """Ends a run as a crash does."""


class Diary(Hook):
    """Keeps what every step saw and gave, and may interrupt the run.

    Args:
        stop_after: number of steps after which the run crashes.
    """

    priority = 'LOWEST'

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.losses: dict[int, dict[str, float]] = {}
        self.samples: dict[int, list[int]] = {}
        self.images: dict[int, torch.Tensor] = {}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        step = runner.iter
        self.losses[step] = {k: float(v.detach()) for k, v in outputs.items()}
        self.samples[step] = [s.sample_idx for s in data_batch['data_samples']]
        self.images[step] = torch.stack(data_batch['inputs']).clone()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Crash as the step after the last one begins."""
        if self.stop_after is not None and runner.iter >= self.stop_after:
            raise Interruption


def augmenting_pipeline() -> list[dict[str, Any]]:
    """A segmentation pipeline that draws from several generators."""
    return [
        dict(type='mmkd.LoadScene'),
        dict(type='mmkd.LoadSceneSegMap'),
        dict(type='RandomCrop', crop_size=(48, 48), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(
            type='PackSegInputs',
            meta_keys=('sample_idx', 'img_shape', 'ori_shape', 'flip'),
        ),
    ]


def noisy_pipeline() -> list[dict[str, Any]]:
    """A validation pipeline that draws random numbers, sizes kept."""
    load, load_map, _, _, distort, pack = augmenting_pipeline()
    return [load, load_map, distort, pack]


def make_runner(
    work_dir: str,
    model: dict[str, Any],
    task: str = 'segmentation',
    *,
    steps: int = 6,
    by_epoch: bool = False,
    loop: str = 'mmkd.ResumableIterBasedTrainLoop',
    diary: Diary | None = None,
    resume: bool = False,
    val_interval: int | None = None,
    num_workers: int = 0,
    num_samples: int = 6,
    save_every: int = 3,
    pipeline: Sequence[dict[str, Any]] | None = None,
    hooks: Sequence[Any] = (),
    **changes: Any,
) -> Runner:
    """Build a runner of ``steps`` steps of 2 images.

    With ``by_epoch``, an epoch has ``num_samples / 2`` steps.
    """
    assert task in TASKS
    data: dict[str, Any] = {}
    if pipeline is not None:
        data['pipeline'] = list(pipeline)
    train_cfg: dict[str, Any] = dict(type=loop, max_iters=steps)
    sampler = 'InfiniteSampler'
    if by_epoch:
        epoch = num_samples // 2
        train_cfg = dict(
            type='mmkd.ResumableEpochBasedTrainLoop',
            max_epochs=steps // epoch,
        )
        sampler, save_every = 'DefaultSampler', 1
    cfg: dict[str, Any] = dict(
        model=model,
        work_dir=work_dir,
        train_dataloader=dict(
            batch_size=2,
            num_workers=num_workers,
            sampler=dict(type=sampler, shuffle=True),
            dataset=toy_dataset(task, num_samples=num_samples, **data),
        ),
        train_cfg=train_cfg,
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
        ),
        param_scheduler=[
            dict(type='PolyLR', power=0.9, begin=0, end=steps, by_epoch=False)
        ],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(
                type='CheckpointHook', by_epoch=by_epoch, interval=save_every
            ),
        ),
        custom_hooks=[dict(type='mmkd.StepSeedHook'), *hooks],
        randomness=dict(seed=0),
        default_scope=SCOPES[task],
        log_processor=dict(by_epoch=by_epoch),
        log_level='ERROR',
        resume=resume,
        experiment_name=f'{abs(hash((work_dir, resume, steps)))}',
    )
    if val_interval is not None:
        train_cfg['val_interval'] = val_interval
        cfg.update(
            val_cfg=dict(type='ValLoop'),
            val_dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=toy_dataset(
                    task, num_samples=2, split='val', pipeline=noisy_pipeline()
                ),
            ),
            val_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
        )
    cfg.update(changes)
    runner = Runner(**cfg)
    if diary is not None:
        runner.register_hook(diary)
    return runner
