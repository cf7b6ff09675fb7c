"""The doctor looks at a run before its first step."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.doctor.run import examine_run
from mmkd.models.distillers.offline import OfflineDistiller
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class DoctorHook(Hook):
    """Log what is wrong with teacher, labels, features and losses.

    It looks at some training images, in some seconds, and changes nothing:
    neither weights nor random state nor the order of the data. A resumed run
    is not examined. Causes: docs/distill.md.

    Args:
        images: how many to look at; default: by task
            (`mmkd.doctor.run.IMAGES`).
    """

    priority = 'VERY_LOW'

    def __init__(self, images: int | None = None) -> None:
        self.images = images

    def before_train(self, runner: Runner) -> None:
        """Examine, unless the run was resumed."""
        model = unwrapped(runner.model)
        if runner.iter > 0 or not isinstance(model, OfflineDistiller):
            return
        loader = runner.train_dataloader
        config = dict(runner.cfg.get('train_dataloader') or {})
        report = examine_run(model, loader.dataset, config, self.images)
        say = runner.logger.warning if report.findings else runner.logger.info
        for line in report.lines():
            say(line)
