"""Runs of tools/train.py in processes that can be killed."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mmengine.config.config

from benchmarks.kills.logs import Log
from mmkd.checkpoints.atomic import PARTIAL
from mmkd.checkpoints.whole import hash_file
from mmkd.tasks import REPOSITORIES

TRAIN = Path(__file__).resolve().parents[2] / 'tools' / 'train.py'
LONGEST = 1800.0  # seconds that a run may take


@dataclass
class Moments:
    """How long an uninterrupted run took, in seconds."""

    to_first: float = 0.0
    gaps: dict[int, float] = field(default_factory=dict)  # step -> to the next

    def after(self, step: int) -> float:
        """Return how long it took from a step to the next, or to the end."""
        return self.gaps.get(step, 0.1) if step else self.to_first


@dataclass
class Kill:
    """A kill: when it was to come, and what it met."""

    step: int
    in_save: bool
    met_save: bool = False


def import_all() -> None:
    """Import what the runs would import, each anew."""
    for package in REPOSITORIES:
        for part in ('models', 'datasets', 'engine', 'evaluation'):
            importlib.import_module(f'{package}.{part}')
    for name in ('mmkd.cli.explain', 'torch._dynamo', 'matplotlib.pyplot'):
        importlib.import_module(name)
    gc.freeze()  # mmengine's data sets collect garbage


def start(config: Path, folder: Path) -> int:
    """Start ``tools/train.py CONFIG --resume`` and return its process id.

    The process is a fork of this one, which has imported everything, so that
    a kill soon meets the training.
    """
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        output = os.open(folder / 'output.txt', flags)
        os.dup2(output, 1)
        os.dup2(output, 2)
        # Each save formats the config anew, at the cost of some steps.
        mmengine.config.config.FormatCode = lambda text, **_: (text, False)
        spec = importlib.util.spec_from_file_location('train', TRAIN)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        module.main([str(config), '--work-dir', str(folder), '--resume'])
        status = 0
    except SystemExit as end:
        status = int(bool(end.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run_through(config: Path, folder: Path) -> Moments:
    """Run to the end, from where the run is.

    Raises:
        RuntimeError: the run failed; the end of its output.
    """
    log, found = Log(folder), Moments()
    began, before, last = time.monotonic(), time.monotonic(), 0
    process = start(config, folder)
    while not _ended(process):
        _check(folder, began)
        time.sleep(0.005)
        step = log.last_step()
        if step == last:
            continue
        now = time.monotonic()
        if last:
            found.gaps[last] = now - before
        else:
            found.to_first = now - began
        before, last = now, step
    found.gaps[last] = time.monotonic() - before
    if os.waitpid(process, 0)[1]:
        raise RuntimeError(f'{folder}: the run failed:\n{_output(folder)}')
    return found


def run_and_kill(
    config: Path,
    folder: Path,
    kill: Kill,
    moments: Moments,
    rng: random.Random,
) -> bool:
    """Run, or go on, and kill the process at a moment.

    Args:
        config: of the run.
        folder: its work directory.
        kill: after which step (0: from the start); whether to wait for the
            next save. What it met is noted in it.
        moments: of the uninterrupted run.
        rng: chooses the moment between this step and the next.

    Returns:
        Whether the process was still at work; it is dead in any case.

    Raises:
        RuntimeError: the run failed by itself.
    """
    log = Log(folder)
    share = rng.random()
    process = start(config, folder)
    for _ in _until(process, folder, lambda: log.last_step() >= kill.step):
        time.sleep(0.001)
    if kill.in_save:
        for _ in _until(process, folder, lambda: is_saving(folder)):
            time.sleep(0.0002)
        time.sleep(share * 0.01)
    else:
        time.sleep(share * moments.after(kill.step))
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    kill.met_save = is_saving(folder)
    if status and not os.WIFSIGNALED(status):
        raise RuntimeError(f'{folder}: the run failed:\n{_output(folder)}')
    return os.WIFSIGNALED(status)


def is_saving(folder: Path) -> bool:
    """Whether a checkpoint of a run is being written, or was when it died."""
    return any(folder.glob(f'*{PARTIAL}')) or any(
        not hash_file(path).exists() for path in folder.glob('*_[0-9]*.pth')
    )


def _until(
    process: int, folder: Path, reached: Callable[[], bool]
) -> Iterator[None]:
    began = time.monotonic()
    while not reached() and not _ended(process):
        _check(folder, began)
        yield


def _check(folder: Path, began: float) -> None:
    if time.monotonic() - began > LONGEST:
        raise RuntimeError(f'{folder}: longer than {LONGEST:.0f} s')


def _ended(process: int) -> bool:
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process, flags) is not None


def _output(folder: Path) -> str:
    return (folder / 'output.txt').read_text(errors='replace')[-2000:]
