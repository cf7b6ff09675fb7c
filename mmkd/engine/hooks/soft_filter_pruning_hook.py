"""Prune filters while training, softly."""

from __future__ import annotations

from typing import Any

from mmengine.runner import Runner

from mmkd.engine.hooks.interval_hook import IntervalHook
from mmkd.engine.hooks.runner_parts import (
    add_pruned_metrics,
    averaged_models,
    optimizers,
    recalibrate,
    refuse_sharded,
)
from mmkd.pruning.pruner import SoftPruner
from mmkd.pruning.report import PruningReport
from mmkd.pruning.settings import PruningSettings
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped

_KEY = 'mmkd_pruning'


@HOOKS.register_module()
class SoftFilterPruningHook(IntervalHook):
    """Damp the filters with the smallest norms after every epoch.

    In each layer the share P(t) of filters with the smallest norms is
    multiplied by alpha(t), then trained on like all others, so a wrong
    choice can be undone. At the end these filters are zero, and
    ``tools/prune_export.py`` removes them. Masks are applied before the
    validation and the checkpoint of their epoch, to the copy of an
    ``EMAHook``, too.

    ===========  ============  ==========  ==========
    ``method``   P(t)          alpha(t)    hard ratio
    ===========  ============  ==========  ==========
    ``'sfp'``    constant      0           --
    ``'asfp'``   exponential   0           --
    ``'srfp'``   constant      1 to 0      --
    ``'asrfp'``  exponential   1 to 0      --
    ``'ghfp'``   exponential   0           cubic
    ===========  ============  ==========  ==========

    Papers: SFP https://arxiv.org/abs/1808.06866, ASFP
    https://arxiv.org/abs/1808.07471, SRFP and ASRFP
    https://arxiv.org/abs/2010.09498, GHFP https://arxiv.org/abs/2011.03170.

    After a validation the metrics get a second name ``pruned/<metric>``:
    the value while the weights are those of a pruned network, infinitely
    bad before. Use it as ``save_best='pruned/accuracy/top1'``.

    What is pruned, how much and how are `PruningSettings`; this hook says
    when.

    Args:
        method: sets the three schedules, each of which may be given.
        pruning_rate: final share P of every layer, in [0, 1).
        interval: epochs, or iterations, from mask to mask. The last one is
            always masked.
        by_epoch: False in a loop of iterations.
        mask_before_train: mask the initial weights, too. Published for SFP,
            but what is pruned before ReLU then never recovers.
        recalibrate_bn: number of training batches from which the statistics
            of batch norms are estimated anew after the last mask; 0 as
            published. A model with other outputs.
        settings: which layers: ``layer_rates``, ``include``, ``exclude``,
            ``granularity``, ``coupled``, ``input_shape``, see
            `TargetChoice`; the schedules: ``rate_schedule`` (see
            `rate_at`), ``decay`` (arguments of `alpha_at`; None zeroes at
            once), ``hard_ratio`` (see `PruningSchedule`); the masks:
            ``norm``, ``mask_bn``, ``mask_momentum``, see `Masking`.

    Raises:
        TypeError: an argument is unknown.
        ValueError: an argument is out of range.
    """

    priority = 'LOW'  # after EMAHook and LoggerHook, before CheckpointHook

    def __init__(
        self,
        method: str = 'sfp',
        pruning_rate: float = 0.3,
        *,
        interval: int = 1,
        by_epoch: bool = True,
        mask_before_train: bool = False,
        recalibrate_bn: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(interval, by_epoch)
        self.settings = PruningSettings.of(
            method, pruning_rate=pruning_rate, **settings
        )
        if recalibrate_bn < 0:
            raise ValueError(
                f'SoftFilterPruningHook: recalibrate_bn={recalibrate_bn} must '
                'be at least 0'
            )
        self.mask_momentum = self.settings.masking.mask_momentum
        self.mask_before_train = mask_before_train
        self.recalibrate_bn = recalibrate_bn
        self.pruner: SoftPruner
        self.report: PruningReport
        self._saved: dict[str, Any] | None = None
        self._final_at: int | None = None  # iterations done at that mask

    def before_train(self, runner: Runner) -> None:
        """Find the targets; restore or mask.

        Raises:
            ValueError: no target, layers that cannot be coupled, or an
                unsuitable loop or interval.
            NotImplementedError: the parameters are sharded.
        """
        self.num_steps = self.count_steps(runner)
        refuse_sharded(runner.model, 'SoftFilterPruningHook')
        self.pruner = SoftPruner(unwrapped(runner.model), self.settings)
        self.report = PruningReport(self.pruner)
        for remark in self.report.remarks():
            self._warn(runner, remark)
        if runner.iter > 0:
            self._restore(runner)
        elif self.mask_before_train:
            self.act(runner, 0, 0)

    def act(self, runner: Runner, t: int, done: int) -> None:
        """Mask as of step t, after ``done`` iterations; log it."""
        averages = averaged_models(runner)
        cleared = optimizers(runner) if self.mask_momentum else ()
        self.pruner.step(t, self.num_steps, averages, cleared)
        if self.recalibrate_bn and t == self.num_steps - 1 and done:
            for model in (self.pruner.model, *averages):
                recalibrate(runner, model, self.recalibrate_bn)
        is_final = self.settings.schedule.is_final(t, self.num_steps)
        self._final_at = done if is_final else None
        values, text = self.report.step(t, self.num_steps)
        for key, value in values.items():
            runner.message_hub.update_scalar(f'pruning/{key}', value)
        runner.logger.info(text)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, Any] | None = None
    ) -> None:
        """Add the metrics of the pruned network."""
        is_final = self._final_at == runner.iter
        add_pruned_metrics(runner, metrics or {}, is_final)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save what an exact resuming needs."""
        checkpoint[_KEY] = dict(
            num_steps=self.num_steps,
            final_at=self._final_at,
            hard=self.pruner.hard.state_dict(),
        )

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Keep it until the targets are known."""
        self._saved = checkpoint.get(_KEY)

    def after_train(self, runner: Runner) -> None:
        """Report; complain if the network is not pruned in the end."""
        self.pruner.hard.release()
        runner.logger.info(self.report.end())
        if self._final_at != runner.iter:
            self._warn(
                runner,
                'the training ended before its last mask, so the network is '
                f'not pruned; train all of its {self.num_steps} steps',
            )

    def _restore(self, runner: Runner) -> None:
        """Go on where the interrupted run was."""
        if self._saved is None:
            self._warn(
                runner,
                'the checkpoint is of a run without pruning; its schedules '
                'are entered in the middle',
            )
            return
        before = self._saved['num_steps']
        if before != self.num_steps:
            self._warn(
                runner,
                f'the run began with {before} steps and goes on with '
                f'{self.num_steps} (max_epochs, max_iters or interval was '
                'changed). Rate and damping follow from that number, so the '
                'result is that of neither run; keep it, or start anew',
            )
        self._final_at = self._saved['final_at']
        if self._saved['hard']:
            self.pruner.hard.load_state_dict(self._saved['hard'])

    def _warn(self, runner: Runner, text: str) -> None:
        runner.logger.warning(f'{type(self).__name__}: {text}')
