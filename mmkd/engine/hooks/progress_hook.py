"""Progress of a run in one line."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner


@dataclass
class RunHistory:
    """What happened in a run, for tables and curves."""

    iterations: list[int] = field(default_factory=list)
    task_loss: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    val_iterations: list[int] = field(default_factory=list)
    val_metric: list[float] = field(default_factory=list)
    minutes: float = 0.0


class ProgressHook(Hook):
    """Shows loss, metric and time left in one line; keeps the history.

    On a terminal the line is rewritten; elsewhere a new one appears after
    every fifth of the run. Seconds per step leave out data loading.

    Args:
        label: name of the run.
        console: stream to write to.
        loss: end of the logged name of the loss that is shown.
        metric: name of the validation metric that is shown.
    """

    priority = 'VERY_LOW'

    def __init__(
        self, label: str, console: TextIO, loss: str, metric: str
    ) -> None:
        self.label = label
        self.console = console
        self.loss = loss
        self.metric = metric
        self.history = RunHistory()
        self._start = self._step_start = self._shown = 0.0
        self._width = 0

    def before_train(self, runner: Runner) -> None:
        self._start = time.perf_counter()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        self._step_start = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        seconds = time.perf_counter() - self._step_start
        self.history.step_seconds.append(seconds)
        for name, value in (outputs or {}).items():
            if name.endswith(self.loss):
                self.history.iterations.append(runner.iter + 1)
                self.history.task_loss.append(float(value))
                break
        self._show(runner.iter + 1, runner.max_iters)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        if metrics:
            self.history.val_iterations.append(runner.iter)
            self.history.val_metric.append(float(metrics[self.metric]))

    def after_train(self, runner: Runner) -> None:
        self.history.minutes = (time.perf_counter() - self._start) / 60
        if self.console.isatty():
            self.console.write(f'\r{"":<{self._width}}\r')

    def _show(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if self.console.isatty():
            if now - self._shown < 0.3:
                return
            start, end = '\r', ''
        else:
            if done % max(1, total // 5):
                return
            start, end = '', '\n'
        self._shown = now
        seconds = (now - self._start) / done * (total - done)
        text = progress_line(self.label, done, total, self.history, seconds)
        self._width = max(self._width, len(text))
        self.console.write(f'{start}{text:<{self._width}}{end}')
        self.console.flush()


def progress_line(
    label: str, done: int, total: int, history: RunHistory, seconds: float
) -> str:
    """The line of a run after ``done`` of ``total`` steps."""
    parts = [label, bar(done / total), f'{done:>{len(str(total))}}/{total}']
    if history.task_loss:
        parts.append(f'loss {statistics.fmean(history.task_loss[-20:]):.3f}')
    if history.val_metric:
        parts.append(f'val {history.val_metric[-1]:.1f}')
    return '  '.join([*parts, f'{duration(seconds)} left'])


def bar(share: float, width: int = 20) -> str:
    """Progress bar of a share between 0 and 1."""
    full = round(share * width)
    return f'[{"#" * full}{"." * (width - full)}]'


def duration(seconds: float) -> str:
    """Minutes and seconds, e.g. 1:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes}:{rest:02d}'


def median_step(history: RunHistory) -> float:
    """Median seconds per step, the warm-up at the start left out."""
    steps: Sequence[float] = history.step_seconds
    return statistics.median(steps[min(10, len(steps) // 2) :])
