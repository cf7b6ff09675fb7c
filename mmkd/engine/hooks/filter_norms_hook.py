"""Norms of all filters, epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.pruning.scores import filter_scores
from mmkd.pruning.targets import DEFAULT_EXCLUDE, find_targets
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class FilterNormsHook(Hook):
    """Append a line to ``filter_norms.jsonl`` after every epoch.

    ``{"epoch": 1, "norms": {"backbone.conv1": [...], ...}}``, in the folder
    of the run's logs. With `SoftFilterPruningHook` these are the norms as
    trained, before the mask of the epoch. Only for loops of epochs.

    Args:
        include: see `find_targets`.
        exclude: see `find_targets`.
        norm: order of the norm.
    """

    priority = 'BELOW_NORMAL'  # before SoftFilterPruningHook

    def __init__(
        self,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = DEFAULT_EXCLUDE,
        norm: float = 2,
    ) -> None:
        self.include = include
        self.exclude = exclude
        self.norm = norm

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
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
        line = json.dumps(dict(epoch=runner.epoch + 1, norms=norms))
        path = Path(runner.log_dir) / 'filter_norms.jsonl'
        with path.open('a', encoding='utf-8') as file:
            file.write(f'{line}\n')
