"""Progress and time left in one line, on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.engine.hooks.progress_hook import bar, duration
from mmkd.registry import HOOKS

EVERY = 0.5  # seconds
_CLEAR = '\r\x1b[2K'


@HOOKS.register_module()
class TerminalLineHook(Hook):
    """Shows how far a run is, and how long it will take, in one line.

    The line is rewritten between the lines of the log, which come only at
    the logger's interval. Where the output is no terminal nothing is
    written. The tools of mmkd add it to every run.

    Args:
        stream: where to write to; standard error by default, as the log.
    """

    priority = 'LOWEST'

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        #: steps that were made since the start of this process
        self.steps = 0
        self._start = self._shown = 0.0

    def before_train(self, runner: Runner) -> None:
        self._start = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        self.steps += 1
        if not self._due():
            return
        done, total = runner.iter + 1, runner.max_iters
        seconds = (time.perf_counter() - self._start) / self.steps
        loss = (outputs or {}).get('loss')
        parts = [
            'training',
            bar(done / total),
            f'{done}/{total}',
            '' if loss is None else f'loss {float(loss):.4g}',
            f'{duration(seconds * (total - done))} left',
        ]
        self._write('  '.join(filter(None, parts)))

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        self._count('validation', batch_idx + 1, runner.val_dataloader)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        if batch_idx == 0:
            self._start = time.perf_counter()
        self._count('test', batch_idx + 1, runner.test_dataloader)

    def after_run(self, runner: Runner) -> None:
        """Remove the line."""
        if self._shown and self.stream.isatty():
            self.stream.write(_CLEAR)
            self.stream.flush()

    def _count(self, what: str, done: int, loader: Any) -> None:
        if self._due():
            total = len(loader)
            self._write(f'{what}  {bar(done / total)}  {done}/{total}')

    def _due(self) -> bool:
        now = time.perf_counter()
        return (
            now - self._shown >= EVERY
            and is_main_process()
            and self.stream.isatty()
        )

    def _write(self, text: str) -> None:
        """Show ``text``; the log goes on at the start of the line."""
        self._shown = time.perf_counter()
        columns = shutil.get_terminal_size().columns - 1
        self.stream.write(f'{_CLEAR}{text[:columns]}\r')
        self.stream.flush()


def steps_done(runner: Runner) -> int:
    """Return how many steps this process made."""
    for hook in getattr(runner, 'hooks', ()):
        if isinstance(hook, TerminalLineHook):
            return hook.steps
    return 0
