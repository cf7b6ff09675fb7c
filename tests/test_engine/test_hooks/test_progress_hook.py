from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
import torch

from mmkd.engine.hooks.progress_hook import (
    ProgressHook,
    RunHistory,
    bar,
    duration,
    median_step,
    progress_line,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(console: io.StringIO, steps: int = 10) -> ProgressHook:
    """Drive the hook as a runner of ``steps`` iterations does."""
    hook = ProgressHook('toy', console, loss='loss_ce', metric='mIoU')
    runner = SimpleNamespace(iter=0, max_iters=steps)
    hook.before_train(runner)
    for i in range(steps):
        hook.before_train_iter(runner, i)
        outputs = {
            'loss': torch.tensor(9.0),
            'decode.loss_ce': torch.tensor(float(i)),
        }
        hook.after_train_iter(runner, i, None, outputs)
        runner.iter += 1
        if i % 5 == 4:
            hook.after_val_epoch(runner, dict(mIoU=10.0 * i))
    hook.after_train(runner)
    return hook


def test_history_keeps_losses_and_metrics() -> None:
    history = run(io.StringIO()).history
    assert history.iterations == list(range(1, 11))
    assert history.task_loss == [float(i) for i in range(10)]
    assert history.val_iterations == [5, 10]
    assert history.val_metric == [40.0, 90.0]
    assert len(history.step_seconds) == 10


def test_outside_a_terminal_a_line_for_every_fifth() -> None:
    console = io.StringIO()
    run(console)
    lines = console.getvalue().splitlines()
    assert len(lines) == 5
    assert '2/10' in lines[0]
    assert '10/10' in lines[-1]
    assert 'val 40.0' in lines[-1]


def test_on_a_terminal_the_line_is_rewritten_and_removed() -> None:
    console = Terminal()
    run(console)
    text = console.getvalue()
    assert '\n' not in text
    assert text.startswith('\rtoy')
    assert text.rpartition('\r')[2] == ''


def test_line_without_any_value_yet() -> None:
    line = progress_line('toy', 1, 20, RunHistory(), 61.0)
    assert line == f'toy  {bar(0.05)}   1/20  1:01 left'


@pytest.mark.parametrize(
    ('seconds', 'text'), [(0.4, '0:00'), (59.6, '1:00'), (125, '2:05')]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_bar() -> None:
    assert bar(0.5, width=4) == '[##..]'


def test_median_step_leaves_out_the_warm_up() -> None:
    history = RunHistory(step_seconds=[9.0] * 10 + [1.0, 2.0, 3.0] * 5)
    assert median_step(history) == 2.0
    assert median_step(RunHistory(step_seconds=[5.0])) == 5.0
