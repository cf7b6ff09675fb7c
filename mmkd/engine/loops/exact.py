"""Loops that resume exactly in the place of mmengine's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.runner.base_loop import BaseLoop

from mmkd.engine.loops.resumable_epoch_loop import (
    ResumableEpochBasedTrainLoop,
)
from mmkd.engine.loops.resumable_iter_loop import ResumableIterBasedTrainLoop

EXACT = {
    EpochBasedTrainLoop: ResumableEpochBasedTrainLoop,
    IterBasedTrainLoop: ResumableIterBasedTrainLoop,
}


def exact_loop(
    config: Mapping[str, Any],
) -> tuple[type[BaseLoop] | None, dict[str, Any]]:
    """Return the loop that resumes exactly for ``train_cfg``, and the rest.

    None for a loop of another class, which stays as it is; a line says so.
    """
    config = dict(config)
    if 'by_epoch' in config and 'type' not in config:
        by_epoch = config.pop('by_epoch')
        stock = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
        return EXACT[stock], config
    asked = config.get('type')
    kind = LOOPS.get(asked) if isinstance(asked, str) else asked
    if kind in EXACT:
        del config['type']
        return EXACT[kind], config
    ours = tuple(EXACT.values())
    if not (isinstance(kind, type) and issubclass(kind, ours)):
        print_log(
            f'train_cfg.type={asked}: whether this loop resumes exactly is '
            'its own affair (exact_resume=False hides this line); the loops '
            'of mmengine do',
            logger='current',
            level=logging.INFO,
        )
    return None, config
