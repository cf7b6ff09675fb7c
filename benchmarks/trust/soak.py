"""Long toy runs: does anything grow, or stay behind?

    python -m benchmarks.trust.soak [METHOD ...] [--steps 2000] [--json FILE]

Each method trains in a process of its own. Memory and open files are
compared between a quarter of the run and its end, hooks of modules between
the built model and the trained one.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from benchmarks.trust.toys import METHODS, seed_all, toy_config
from mmkd.cli.runner import build_runner

ROOT = Path(__file__).resolve().parents[2]
STEPS, PER_EPOCH = 2000, 5
LARGEST_GROWTH = 0.01
_HOOKS = (
    '_forward_hooks', '_forward_pre_hooks', '_backward_hooks',
    '_backward_pre_hooks', '_state_dict_hooks', '_load_state_dict_pre_hooks',
)  # fmt: skip


class Watch(Hook):
    """Notes memory and open files at a quarter of the run and at its end."""

    priority = 'LOWEST'

    def __init__(self, steps: int) -> None:
        self.at = (steps // 4, steps)
        self.seen: list[dict[str, int]] = []

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        if runner.iter + 1 in self.at:
            self.seen.append(
                dict(memory=resident(), files=len(os.listdir('/proc/self/fd')))
            )


def resident() -> int:
    """Return the memory of this process in KiB, after a clean-up."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1])
    raise OSError('/proc/self/status has no VmRSS')


def count_hooks(model: nn.Module) -> int:
    """Return how many hooks the modules of a model have."""
    return sum(
        len(getattr(module, name, ()))
        for module in model.modules()
        for name in _HOOKS
    )


def soak(name: str, steps: int, folder: Path) -> dict[str, Any]:
    """Train a method, in this process.

    Returns:
        Growth of memory (relative), of open files and of hooks.
    """
    seed_all(0)
    config = toy_config(name, folder, 4 * PER_EPOCH)
    if 'max_epochs' in config.train_cfg:
        config.train_cfg.max_epochs = steps // PER_EPOCH
    else:
        config.train_cfg.max_iters = steps
    runner = build_runner(config)
    watch = Watch(steps)
    runner.register_hook(watch)
    before = count_hooks(runner.model)
    runner.train()
    first, last = watch.seen
    return dict(
        steps=steps,
        memory_mib=round(last['memory'] / 1024),
        growth=last['memory'] / first['memory'] - 1,
        files=last['files'] - first['files'],
        hooks=count_hooks(runner.model) - before,
    )


def measure(methods: Sequence[str], steps: int) -> dict[str, Any]:
    """Return what `soak` says of each method, each in its own process."""
    found = {}
    for name in methods:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / 'soak.json'
            done = subprocess.run(
                [
                    *(sys.executable, '-m', 'benchmarks.trust.soak', name),
                    *('--steps', str(steps), '--here', str(out)),
                ],
                env={**os.environ, 'PYTHONPATH': str(ROOT)},
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            found[name] = (
                json.loads(out.read_text())
                if out.is_file()
                else dict(error=done.stderr.strip().splitlines()[-1:])
            )
            print(name, found[name], flush=True)
    return found


def is_steady(result: dict[str, Any]) -> bool:
    """Whether nothing grew or stayed behind."""
    return (
        'error' not in result
        and result['growth'] < LARGEST_GROWTH
        and not result['files']
        and not result['hooks']
    )


def main() -> None:
    """Print a line for each method; fail if anything grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('methods', nargs='*', default=list(METHODS))
    parser.add_argument('--steps', type=int, default=STEPS)
    parser.add_argument('--json', type=Path)
    parser.add_argument('--here', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        warnings.simplefilter('ignore')
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            (name,) = args.methods
            found = soak(name, args.steps, Path(folder))
        args.here.write_text(json.dumps(found))
        return
    found = measure(args.methods, args.steps)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + '\n')
    sys.exit(not all(map(is_steady, found.values())))


if __name__ == '__main__':
    main()
