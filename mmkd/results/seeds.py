"""Configs trained over several seeds, and what a results table needs."""

from __future__ import annotations

import json
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmkd.cli.config import read_config
from mmkd.results.curves import read_scalars


@dataclass(frozen=True)
class SeedRuns:
    """Trains and tests configs, and keeps their logs.

    Args:
        tools: the folder of train.py and test.py.
        out: gets <config name>/seed<k>.jsonl: logged scalars, one line per
            test, and at last config, seed, minutes and hardware.
        work_dir: of the runs; an interrupted one is resumed. One with
            stages has all of them in it, each seed its own first phase.
        metric: key that chose the best checkpoint.
        train_args: passed on to train.py.
        report: is told what is left out.
    """

    tools: Path
    out: Path
    work_dir: Path
    metric: str = 'mIoU'
    train_args: str = ''
    report: Callable[[str], None] = print

    def run_all(self, configs: Sequence[Path], seeds: Sequence[int]) -> None:
        """Run all configs, seed by seed."""
        for seed in seeds:
            for config in configs:
                self.run_one(config, seed)

    def run_one(self, config: Path, seed: int) -> None:
        """Train and test one config with one seed, unless it is done."""
        target = self.out / config.stem / f'seed{seed}.jsonl'
        if target.exists():
            self.report(f'{target} exists: not run again')
            return
        work_dir = self.work_dir / config.stem / f'seed{seed}'
        resumed = any(
            any(work_dir.glob(name))
            for name in ('last_checkpoint', '*/last_checkpoint')
        )
        start = time.time()
        self._call(
            'train.py', config, '--work-dir', work_dir, '--seed', seed,
            *(['--resume'] if resumed else []), *shlex.split(self.train_args),
        )  # fmt: skip
        minutes = (time.time() - start) / 60
        scored, folder = scored_run(config, work_dir)
        lines = compact(read_scalars(folder))
        lines += self._test(scored, folder)
        lines.append(
            dict(
                config=config.as_posix(),
                seed=seed,
                minutes=round(minutes, 1),
                resumed=resumed,
                hardware=hardware(),
            )
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        text = '\n'.join(json.dumps(line) for line in lines)
        target.write_text(text + '\n')

    def _test(self, config: Path, work_dir: Path) -> list[dict[str, Any]]:
        """Test the last and the best checkpoint; returns a line for each."""
        last = Path((work_dir / 'last_checkpoint').read_text().strip())
        kinds = ('', 'pruned_')  # the latter of SoftFilterPruningHook
        key = self.metric.replace('/', '_')  # as in names of files
        best = newest(work_dir, *(f'best_{k}{key}_*.pth' for k in kinds))
        lines = []
        tested: dict[int, dict] = {}  # the last one may be the best one
        for name, checkpoint in (('last', last), ('best', best)):
            step = int(checkpoint.stem.rpartition('_')[2])
            if step not in tested:
                folder = work_dir / f'test_{name}'
                shutil.rmtree(folder, ignore_errors=True)
                self._call('test.py', config, checkpoint, '--work-dir', folder)
                metrics = newest(folder, '*/*.json').read_text()
                tested[step] = json.loads(metrics)
            lines += compact([dict(test=name, step=step, **tested[step])])
        return lines

    def _call(self, tool: str, *args: object) -> None:
        """Run a tool; stop if it fails."""
        command = [sys.executable, str(self.tools / tool), *map(str, args)]
        subprocess.run(command, check=True)


def scored_run(config: Path, work_dir: Path) -> tuple[Path, Path]:
    """Return config and folder of the training that a run is judged by.

    That is the last training of a config with stages, else the run itself.

    Args:
        config: that was trained.
        work_dir: of the run.
    """
    trainings = [
        stage['name']
        for stage in read_config(str(config), stages=True).get('stages', [])
        if stage.get('run', 'train') == 'train'
    ]
    if not trainings:
        return config, work_dir
    folder = work_dir / trainings[-1]
    return folder / f'{trainings[-1]}.py', folder


def newest(folder: Path, *patterns: str) -> Path:
    """Return the newest file below ``folder`` that fits a pattern.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    found.sort(key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(
            f'{folder} has no file {" or ".join(patterns)}; a best '
            'checkpoint has the key of default_hooks.checkpoint.save_best in '
            'its name, which --metric must be'
        )
    return found[-1]


def compact(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Round values; drop what the table and the curves do not use."""
    dropped = ('memory', 'data_time')
    return [
        {
            key: float(f'{value:.5g}') if isinstance(value, float) else value
            for key, value in line.items()
            if key not in dropped
        }
        for line in lines
    ]


def hardware() -> str:
    """Name the processor or accelerator and the version of torch."""
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    else:
        device = f'{platform.machine()} CPU, {torch.get_num_threads()} thread'
    return f'{device}, torch {torch.__version__.partition("+")[0]}'
