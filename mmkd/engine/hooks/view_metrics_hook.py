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
    this costs several times the validation itself. The metrics of the
    validation, and ``save_best``, stay as they are.
    """

    priority = 'NORMAL'  # before LoggerHook

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, Any] | None = None
    ) -> None:
        """Evaluate and hand over to the log."""
        model = unwrapped(runner.model)
        for name, value in view_metrics(model, runner.val_dataloader).items():
            runner.message_hub.update_scalar(f'val/{name}', value)
