"""Run a config from Python, as ``tools/train.py`` does."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from mmkd.checkpoints.pretrained import check_pretrained
from mmkd.cli.config import load_run_config
from mmkd.cli.explain import explained
from mmkd.cli.runner import build_runner
from mmkd.cli.training import (
    check_batch_size,
    check_start,
    train,
    warn_of_ramps,
)
from mmkd.utils.dist import unwrapped


def run_config(path: Path, say: Callable[[str], None]) -> None:
    """Train a config in this process.

    Args:
        path: of the config.
        say: gets a line about what was found.

    Raises:
        ValueError, FloatingPointError: see `mmkd.cli`.
    """
    args = Namespace(
        config=str(path),
        cfg_options={},
        work_dir=None,
        launcher='none',
        local_rank=0,
    )
    config = load_run_config(args)
    check_batch_size(config)
    with explained(config):
        runner = build_runner(config)
        check_pretrained(unwrapped(runner.model))
        check_start(runner)
        warn_of_ramps(runner)
        train(runner)
    say(f'trained: {runner.work_dir}')
