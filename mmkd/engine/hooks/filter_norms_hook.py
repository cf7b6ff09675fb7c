"""Norms of all filters in the course of a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.runner import Runner

from mmkd.engine.hooks.interval_hook import IntervalHook
from mmkd.pruning.scores import check_norm, filter_scores
from mmkd.pruning.targets import DEFAULT_EXCLUDE, find_targets
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class FilterNormsHook(IntervalHook):
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
        ValueError: ``interval`` or ``norm`` is not positive.
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
        super().__init__(interval, by_epoch)
        check_norm(norm)
        self.include = include
        self.exclude = exclude
        self.norm = norm

    @master_only
    def act(self, runner: Runner, t: int, done: int) -> None:
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
        now = dict(epoch=t + 1) if self.by_epoch else dict(iter=done)
        path = Path(runner.log_dir) / 'filter_norms.jsonl'
        with path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(dict(**now, norms=norms)) + '\n')
