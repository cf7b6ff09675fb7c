"""Resuming within epochs, before validations, between optimizer steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import EarlyStoppingHook, Hook
from torch import nn

from mmkd.engine.hooks import ResumeStateHook
from mmkd.toys import toy_segmentor
from tests.support.toy_runner import Diary, Interruption
from tests.test_engine.test_loops.test_resume import (
    assert_equal,
    states,
    train,
)


@pytest.fixture
def model() -> dict[str, Any]:
    """A plain network."""
    return toy_segmentor(4)


def by_iterations(interval: int) -> dict[str, Any]:
    return dict(
        logger=dict(type='LoggerHook', interval=1),
        checkpoint=dict(
            type='CheckpointHook', by_epoch=False, interval=interval
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize('stop', [5, 4], ids=['within', 'near the end'])
def test_within_an_epoch(tmp_path: Path, model: Any, stop: int) -> None:
    """Three steps an epoch, saved after steps 2 and 4, or 3."""
    kwargs: dict[str, Any] = dict(
        by_epoch=True,
        val_interval=1,
        default_hooks=by_iterations(2 if stop == 5 else 3),
    )
    straight, whole = train(tmp_path / 'a', model, **kwargs)
    train(tmp_path / 'b', model, stop_after=stop, **kwargs)
    resumed, after = train(tmp_path / 'b', model, resume=True, **kwargs)
    saved = 4 if stop == 5 else 3
    assert sorted(after.losses) == list(range(saved, 6))
    assert after.losses == {k: whole.losses[k] for k in after.losses}
    assert after.samples == {k: whole.samples[k] for k in after.samples}
    assert_equal(states(resumed), states(straight))
    assert resumed.epoch == 2


class Validations(Hook):
    """Notes when validations were, and dies before the first of them."""

    def __init__(self, dies: bool = False) -> None:
        self.dies = dies
        self.found: list[tuple[int, float]] = []

    def before_val(self, runner: Any) -> None:
        if self.dies:
            raise Interruption

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.found.append((runner.iter, metrics['mIoU']))


@pytest.mark.parametrize('by_epoch', [False, True], ids=['iters', 'epochs'])
def test_validation_that_a_kill_prevented_is_made_up(
    tmp_path: Path, model: Any, by_epoch: bool
) -> None:
    kwargs: dict[str, Any] = dict(
        by_epoch=by_epoch, val_interval=1 if by_epoch else 3
    )
    whole = Validations()
    train(tmp_path / 'a', model, hooks=[whole], **kwargs)
    with pytest.raises(Interruption):
        train(tmp_path / 'b', model, hooks=[Validations(dies=True)], **kwargs)
    after = Validations()
    runner, _ = train(
        tmp_path / 'b', model, resume=True, hooks=[after], **kwargs
    )
    assert [step for step, _ in whole.found] == [3, 6]
    assert after.found == whole.found
    assert runner.iter == 6


def test_validation_that_was_done_is_not_done_again(
    tmp_path: Path, model: Any
) -> None:
    """The best checkpoint is saved, and with it the last, afterwards."""
    kwargs: dict[str, Any] = dict(val_interval=3)
    kwargs['default_hooks'] = by_iterations(3)
    kwargs['default_hooks']['checkpoint']['save_best'] = 'mIoU'
    train(tmp_path, model, stop_after=4, **kwargs)
    after = Validations()
    train(tmp_path, model, resume=True, hooks=[after], **kwargs)
    assert [step for step, _ in after.found] == [6]


def test_accumulated_gradients_are_kept(tmp_path: Path, model: Any) -> None:
    """Saved after step 3, of which the optimizer has seen two."""
    wrapper = dict(
        type='OptimWrapper',
        accumulative_counts=2,
        optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
    )
    kwargs: dict[str, Any] = dict(optim_wrapper=wrapper)
    straight, whole = train(tmp_path / 'a', model, **kwargs)
    train(tmp_path / 'b', model, stop_after=3, **kwargs)
    resumed, after = train(tmp_path / 'b', model, resume=True, **kwargs)
    assert after.losses == {k: whole.losses[k] for k in (3, 4, 5)}
    assert_equal(states(resumed), states(straight))


class Finished(Hook):
    def after_train(self, runner: Any) -> None:
        hook = next(
            h for h in runner.hooks if isinstance(h, EarlyStoppingHook)
        )
        self.count, self.best = hook.wait_count, hook.best_score


@pytest.mark.slow
@pytest.mark.parametrize('best', [False, True], ids=['last', 'best'])
def test_early_stopping_goes_on_counting(
    tmp_path: Path, model: Any, best: bool
) -> None:
    kwargs: dict[str, Any] = dict(val_interval=1, save_every=1)
    kwargs['default_hooks'] = by_iterations(1)
    if best:
        kwargs['default_hooks']['checkpoint']['save_best'] = 'mIoU'
    stopping = dict(
        type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=9
    )
    ends = []
    for folder, stop in (('a', None), ('b', 4), ('b', None)):
        end = Finished()
        train(
            tmp_path / folder,
            model,
            stop_after=stop,
            resume=folder == 'b' and stop is None,
            hooks=[stopping, end],
            **kwargs,
        )
        ends.append(end)
    assert ends[2].count == ends[0].count > 0
    assert ends[2].best == pytest.approx(ends[0].best, abs=0)


def test_plain_attributes_of_stock_modules_are_kept() -> None:
    class BatchSyncRandomResize(nn.Module):
        _input_size: Any = None

    class Runner:
        def __init__(self) -> None:
            self.model = nn.Sequential(
                nn.Linear(1, 1), BatchSyncRandomResize()
            )
            self.hooks: list[Any] = []
            self.optim_wrapper = type('W', (), dict(_accumulative_counts=1))()
            self._resume, self.iter = True, 3

    one, two = Runner(), Runner()
    one.model[1]._input_size = (torch.tensor(32).item(), 64)
    two.model[1]._input_size = (0, 0)
    checkpoint: dict[str, Any] = dict(meta=dict(iter=3))
    ResumeStateHook().before_save_checkpoint(one, checkpoint)
    hook = ResumeStateHook()
    hook.after_load_checkpoint(two, checkpoint)
    hook.before_train(two)
    assert two.model[1]._input_size == (32, 64)


def test_load_from_restores_nothing(tmp_path: Path, model: Any) -> None:
    """Only weights are taken from a file that is not resumed."""
    train(tmp_path / 'a', model, stop_after=5)
    runner, diary = train(
        tmp_path / 'b',
        model,
        load_from=str(tmp_path / 'a' / 'iter_3.pth'),
        steps=2,
    )
    assert sorted(diary.losses) == [0, 1]
    assert isinstance(diary, Diary)
    assert runner.iter == 2
