"""Accuracy of branches, and agreement by rotation, in the log."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.evaluation.view_metrics import view_metrics
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class ViewMetricsHook(Hook):
    """Log `view_metrics` of the validation images after each validation.

    They are shown in all rotations, to the branches and teachers as well, so
    this costs several times the validation itself. Offline, the metrics get
    ``joint_accuracy``, that of the best branch: ``save_best=
    'joint_accuracy'`` chooses a teacher by it, as its class accuracy does
    not tell what its branches have learned.
    """

    priority = 'ABOVE_NORMAL'  # averaged weights (EMAHook) are still in place

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, Any] | None = None
    ) -> None:
        """Evaluate and hand over to the log."""
        model = unwrapped(runner.model)
        found = view_metrics(model, runner.val_dataloader)
        for name, value in found.items():
            runner.message_hub.update_scalar(f'val/{name}', value)
        branches = [
            value
            for name, value in found.items()
            if name.startswith('branch') and name.endswith('/joint_accuracy')
        ]
        if metrics is not None and branches:
            metrics['joint_accuracy'] = max(branches)
