"""``tools/train.py`` makes every run one that resumes exactly."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmkd.datasets.exact_loader import ExactDataLoader
from mmkd.engine.hooks import ResumeStateHook, StepSeedHook
from mmkd.engine.loops import (
    ResumableEpochBasedTrainLoop,
    ResumableIterBasedTrainLoop,
)

EPOCHS = dict(by_epoch=True, max_epochs=1)
ITERATIONS = dict(by_epoch=False, max_iters=2)


@LOOPS.register_module()
class LoopOfAUser(IterBasedTrainLoop):
    """Another class than mmengine's."""


def started(toy, tool, monkeypatch, *options, **changes):
    """Return the runner of a run that was about to train."""
    found = []
    monkeypatch.setattr(
        'mmengine.runner.Runner.train', lambda self: found.append(self)
    )
    config = Config.fromfile(toy.student)
    for key, value in changes.items():
        config[key] = value
    config.dump(toy.folder / f'changed_{toy.student.name}')
    tool('train').main(
        [
            str(toy.folder / f'changed_{toy.student.name}'),
            f'--work-dir={toy.folder / "run"}',
            *options,
        ]
    )
    return found[0]


def count(runner, kind):
    return sum(isinstance(hook, kind) for hook in runner.hooks)


@pytest.mark.parametrize(
    ('train_cfg', 'kind'),
    [
        (EPOCHS, ResumableEpochBasedTrainLoop),
        (ITERATIONS, ResumableIterBasedTrainLoop),
        (
            dict(type='EpochBasedTrainLoop', max_epochs=1),
            ResumableEpochBasedTrainLoop,
        ),
        (
            dict(type='mmkd.ResumableIterBasedTrainLoop', max_iters=2),
            ResumableIterBasedTrainLoop,
        ),
        (dict(type='LoopOfAUser', max_iters=2), LoopOfAUser),
    ],
)
def test_loops(toy, tool, monkeypatch, train_cfg, kind):
    train_cfg = dict(train_cfg, val_interval=2)
    runner = started(toy, tool, monkeypatch, train_cfg=train_cfg)
    loop = runner.build_train_loop(runner._train_loop)
    assert type(loop) is kind
    ours = kind is not LoopOfAUser
    assert isinstance(loop.dataloader, ExactDataLoader) == ours
    assert count(runner, ResumeStateHook) == ours
    assert count(runner, StepSeedHook) == 1


def test_hooks_that_a_config_names_are_not_doubled(toy, tool, monkeypatch):
    hooks = [dict(type='mmkd.StepSeedHook'), dict(type='mmkd.ResumeStateHook')]
    runner = started(toy, tool, monkeypatch, custom_hooks=hooks)
    runner.build_train_loop(runner._train_loop)
    assert count(runner, StepSeedHook) == count(runner, ResumeStateHook) == 1


def test_switched_off(toy, tool, monkeypatch):
    runner = started(
        toy, tool, monkeypatch, exact_resume=False, train_cfg=EPOCHS
    )
    loop = runner.build_train_loop(runner._train_loop)
    assert type(loop) is EpochBasedTrainLoop
    assert not isinstance(loop.dataloader, ExactDataLoader)
    assert count(runner, StepSeedHook) == count(runner, ResumeStateHook) == 0


def test_switch_of_another_kind(toy, tool, error_line):
    line = error_line(
        tool('train').main,
        toy.student,
        f'--work-dir={toy.folder / "run"}',
        '--cfg-options',
        'exact_resume=no',
    )
    assert "exact_resume='no' must be True or False" in line


@pytest.mark.parametrize('asked', [None, 7])
def test_the_seed_is_that_of_the_resumed_run(toy, tool, monkeypatch, asked):
    """Also where the config has none, and mmengine draws one."""
    config = Config.fromfile(toy.student)
    config.randomness = dict(seed=None)
    config.dump(toy.student)
    folder = f'--work-dir={toy.folder / "run"}'
    first = []
    monkeypatch.setattr(
        StepSeedHook, 'before_run', lambda self, run: first.append(run.seed)
    )
    tool('train').main([str(toy.student), folder])
    options = ['--resume', *(['--seed=7'] if asked else [])]
    runner = started(toy, tool, monkeypatch, *options)
    assert runner.seed == first[0]
    loop = runner.build_train_loop(runner._train_loop)
    assert loop.dataloader.seed == loop.dataloader.sampler.seed == first[0]
