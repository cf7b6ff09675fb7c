"""Fixtures of tools and benchmarks: toy configs on disk, quick runs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from mmkd.networks import build_network
from mmkd.toys import toy_classifier, toy_dataset, toy_segmentor

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SIZE = (32, 32)


@pytest.fixture(autouse=True)
def _isolated_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep runs quick; undo what they leave in mmengine and environment."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('MMKD_TRACEBACK', raising=False)
    # Runs write their config several times; making it pretty is slow.
    monkeypatch.setattr(
        'mmengine.config.config.FormatCode',
        lambda text, **kwargs: (text, False),
    )
    managers = (DefaultScope, MMLogger, Visualizer)
    before = [dict(manager._instance_dict) for manager in managers]
    yield
    for manager, instances in zip(managers, before, strict=True):
        manager._instance_dict.clear()
        manager._instance_dict.update(instances)


@pytest.fixture(scope='session')
def tools_folder() -> Path:
    """Where the tools are."""
    return TOOLS


@pytest.fixture(scope='session')
def tool() -> Callable[[str], ModuleType]:
    """Import ``tools/<name>.py``."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            f'tool_{name}', TOOLS / f'{name}.py'
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look there
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def toy(tmp_path: Path, _isolated_runs: None) -> SimpleNamespace:
    """Configs of a plain student and of its distillation, and a teacher.

    Every test has other file names, so that mmengine keeps the runs apart.
    """
    pytest.importorskip('mmseg')
    stem = tmp_path.name
    student = toy_segmentor(width=4)
    paths = SimpleNamespace(
        folder=tmp_path,
        student=tmp_path / f'student_{stem}.py',
        teacher=tmp_path / 'teacher.pth',
        distiller=tmp_path / f'distiller_{stem}.py',
    )
    torch.manual_seed(1)
    network = build_network(student)
    torch.save(dict(state_dict=network.state_dict()), paths.teacher)

    plain = schedule()
    plain['model'] = student
    Config(plain).dump(paths.student)
    distilled = schedule()
    distilled['model'] = dict(
        type='mmkd.OfflineDistiller',
        student=student,
        teacher=dict(config=str(paths.student), checkpoint=str(paths.teacher)),
        taps=dict(logits='decode_head.conv_seg'),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')),
        input_shape=(3, *SIZE),
    )
    Config(distilled).dump(paths.distiller)
    return paths


@pytest.fixture
def cohort_config(tmp_path: Path, _isolated_runs: None) -> Path:
    """Config of two toy classifiers with mutual contrastive learning."""
    pytest.importorskip('mmpretrain')
    loss = dict(type='mmkd.MutualContrastiveLoss', ignore_lonely=True)
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[toy_classifier(width=4)] * 2),
        taps=dict(feats='neck'),
        aux_heads=dict(
            embeds=dict(
                type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=8
            )
        ),
        exchange=dict(
            type='mmkd.MutualContrastiveExchange', on='embeds', loss=loss
        ),
        input_shape=(3, *SIZE),
    )
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 8, size=SIZE),
    )
    optimizer = dict(type='SGD', lr=0.01)
    path = tmp_path / f'cohort_{tmp_path.name}.py'
    Config(
        dict(
            default_scope='mmpretrain',
            model=model,
            train_dataloader=loader,
            optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer),
        )
    ).dump(path)
    return path


def schedule() -> dict:
    """Data, two iterations of training and evaluation."""

    def loader(split: str, sampler: dict) -> dict:
        data = toy_dataset('segmentation', 4, size=SIZE, split=split)
        return dict(batch_size=2, num_workers=0, sampler=sampler, dataset=data)

    in_order = dict(type='DefaultSampler', shuffle=False)
    metric = dict(type='IoUMetric', iou_metrics=['mIoU'])
    return dict(
        default_scope='mmseg',
        train_dataloader=loader('train', dict(type='InfiniteSampler')),
        val_dataloader=loader('val', in_order),
        test_dataloader=loader('test', in_order),
        val_evaluator=metric,
        test_evaluator=metric,
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2),
        val_cfg=dict(),
        test_cfg=dict(),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
            logger=dict(type='LoggerHook', interval=1),
        ),
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=0),
    )


@pytest.fixture
def error_line(
    capsys: pytest.CaptureFixture,
) -> Callable[..., str]:
    """Run a tool's ``main`` that must fail; returns its one error line."""

    def run(main: Callable[[list[str]], object], *args: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(arg) for arg in args])
        assert stopped.value.code == 2
        lines = [
            line
            for line in capsys.readouterr().err.splitlines()
            if line.startswith('error: ')
        ]
        assert len(lines) == 1
        return lines[0]

    return run
