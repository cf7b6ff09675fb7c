"""Norms of all filters in the course of a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.engine.hooks.runner_parts import due_after_epoch, due_after_iter
from mmkd.pruning.scores import filter_scores
from mmkd.pruning.targets import DEFAULT_EXCLUDE, find_targets
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped
from mmkd.utils.settings import check_positive


@HOOKS.register_module()
class FilterNormsHook(Hook):
    """Append a line to ``filter_norms.jsonl`` after every epoch.

    ``{"epoch": 1, "norms": {"backbone.conv1": [...], ...}}``, in the folder
    of the run's logs; ``"iter"`` instead of ``"epoch"`` if ``by_epoch`` is
    False. With `SoftFilterPruningHook` at the same interval these are the
    norms as trained, before the mask.

    Args:
        include: see `find_targets`.
        exclude: see `find_targets`.
        norm: order of the norm.
        interval: epochs, or iterations, from line to line.
        by_epoch: False in a loop of iterations.

    Raises:
        ValueError: ``interval`` is not positive.
    """

    priority = 'BELOW_NORMAL'  # before SoftFilterPruningHook

    def __init__(
        self,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = DEFAULT_EXCLUDE,
        norm: float = 2,
        interval: int = 1,
        by_epoch: bool = True,
    ) -> None:
        self.include = include
        self.exclude = exclude
        self.norm = norm
        check_positive('FilterNormsHook', 1, interval=interval)
        self.interval = interval
        self.by_epoch = by_epoch

    def after_train_epoch(self, runner: Runner) -> None:
        """Write a line after an epoch."""
        if self.by_epoch and due_after_epoch(runner, self.interval):
            self._write(runner, dict(epoch=runner.epoch + 1))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Write a line after an interval of iterations."""
        if not self.by_epoch and due_after_iter(runner, self.interval):
            self._write(runner, dict(iter=runner.iter + 1))

    @master_only
    def _write(self, runner: Runner, line: dict[str, Any]) -> None:
        """Write the norms with four digits."""
        targets = find_targets(
            unwrapped(runner.model), 0.0, self.include, self.exclude
        )
        norms = {
            target.name: [
                float(f'{value:.4g}')
                for value in filter_scores(target.weight, self.norm).tolist()
            ]
            for target in targets
        }
        path = Path(runner.log_dir) / 'filter_norms.jsonl'
        with path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(dict(**line, norms=norms)) + '\n')
