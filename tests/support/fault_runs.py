"""Runs a faulty config up to its first step, and says how it ended."""

from __future__ import annotations

import contextlib
import io
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

CLEAR, VAGUE, SILENT, TRACEBACK = 'clear', 'vague', 'silent', 'traceback'


class FirstStepDone(BaseException):
    """Ends a run after its first step."""


class StopHook(Hook):
    """Raises `FirstStepDone`."""

    priority = 'LOWEST'

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        raise FirstStepDone


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        kind: one of the four.
        text: its error line, or the end of its traceback.
    """

    kind: str
    text: str = ''


def outcome(
    train: ModuleType, config: dict[str, Any], names: tuple[str, ...],
    folder: Path, number: int,
) -> Outcome:  # fmt: skip
    """Run a config with ``tools/train.py``, in this process.

    Args:
        train: the tool.
        config: with a fault.
        names: one of them must be in the error line for it to be clear.
        folder: for the run.
        number: of the fault; runs are kept apart by it.
    """
    path = folder / f'fault_{number}.py'
    path.write_text(
        '\n'.join(f'{key} = {value!r}' for key, value in config.items())
    )
    real = train.build_runner

    def build(config: Config) -> Any:
        runner = real(config)
        runner.register_hook(StopHook())
        return runner

    train.build_runner = build
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            train.main([str(path), '--work-dir', str(folder / 'run')])
    except FirstStepDone:
        return Outcome(SILENT)
    except SystemExit:
        lines = [k for k in err.getvalue().splitlines() if 'error' in k[:6]]
        text = '\n'.join(lines)
        clear = len(lines) == 1 and any(name in text for name in names)
        return Outcome(CLEAR if clear else VAGUE, text)
    except Exception as error:
        frames = traceback.format_exception(error)
        return Outcome(TRACEBACK, ''.join(frames[-3:]))
    finally:
        train.build_runner = real
        for manager in (DefaultScope, MMLogger, Visualizer):
            manager._instance_dict.clear()
    return Outcome(SILENT)
