"""Kills right before and right after each save of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

for package in ('mmpretrain', 'mmpose'):
    pytest.importorskip(package)

from benchmarks.kills.cases import CASES, shortened  # noqa: E402
from benchmarks.kills.compare import differences  # noqa: E402
from benchmarks.kills.process import (  # noqa: E402
    import_all,
    run_through,
    start,
)
from mmkd.engine.hooks import SafeCheckpointHook  # noqa: E402

pytestmark = pytest.mark.slow


def save_then_die(number: int, after: bool) -> Callable[..., None]:
    """Return a method that saves and dies at the save of this number."""
    save = SafeCheckpointHook._save_checkpoint_with_step
    saves = []

    def method(self: Any, *args: Any, **kwargs: Any) -> None:
        saves.append(1)
        due = len(saves) == number
        if not due or after:
            save(self, *args, **kwargs)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)

    return method


@pytest.mark.parametrize('method', ['DML', 'FFL, pose'])
def test_a_kill_at_any_save(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a save and its validation, and between a new best and the end
    of the old one, is where a run that goes on could forget something."""
    torch.set_num_threads(1)
    import_all()
    path = tmp_path / 'config.py'
    shortened(CASES[method], 16, 0, tmp_path, mid_epoch=False).dump(path)
    alone = tmp_path / 'alone'
    run_through(path, alone)
    for number in range(1, 20):
        ended = False
        for after in (False, True):
            killed = tmp_path / f'{number}_{after}'
            with monkeypatch.context() as patch:
                patch.setattr(
                    SafeCheckpointHook,
                    '_save_checkpoint_with_step',
                    save_then_die(number, after),
                )
                _, status = os.waitpid(start(path, killed), 0)
            ended = not os.WIFSIGNALED(status)
            run_through(path, killed)
            assert list(differences(alone, killed)) == [], (number, after)
        if ended:
            break
    assert ended and number > 4
