"""Prune filters while training, softly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmkd.engine.hooks.runner_parts import (
    averaged_models,
    count_steps,
    due_after_epoch,
    due_after_iter,
    greater_is_better,
    optimizers,
    recalibrate,
    refuse_sharded,
)
from mmkd.pruning.compaction.coupled import CoupledGroup
from mmkd.pruning.coupled_targets import couple_targets, planned_zeros
from mmkd.pruning.methods import METHOD, PruningSchedule
from mmkd.pruning.pruner import SoftPruner, check_options
from mmkd.pruning.report import counts_table, step_line, step_values
from mmkd.pruning.targets import (
    DEFAULT_EXCLUDE,
    Target,
    find_targets,
    zero_counts,
)
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped

_KEY = 'mmkd_pruning'


@HOOKS.register_module()
class SoftFilterPruningHook(Hook):
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

    Args:
        method: sets the three schedules, each of which may be given.
        pruning_rate: final share P of every layer, in [0, 1).
        layer_rates: regular expression of paths -> other final share.
        include: regular expressions of the paths of convolutions; None for
            those inside modules called ``backbone``, see `find_targets`.
        exclude: regular expressions of paths to leave out.
        granularity: ``'filter'``, or ``'weight'`` for single weights.
        norm: order of the norm that ranks filters.
        rate_schedule: see `rate_at`.
        decay: arguments of `alpha_at`; None zeroes at once.
        hard_ratio: see `PruningSchedule`.
        interval: epochs, or iterations, from mask to mask. The last one is
            always masked.
        by_epoch: False in a loop of iterations.
        mask_before_train: mask the initial weights, too. Published for SFP,
            but what is pruned before ReLU then never recovers.
        mask_bn: damp weight and bias of batch norms behind pruned filters.
        mask_momentum: zero the momentum of hard-pruned filters, which else
            moves them until the next mask.
        recalibrate_bn: number of training batches from which the statistics
            of batch norms are estimated anew after the last mask; 0 as
            published. A model with other outputs.
        coupled: our extension: layers that add to the same channels lose
            the same ones, those of the least sum of squared norms, with
            biases and batch norms. Every zero filter can then be removed.
            Shortcuts, which ``exclude`` names by default, count as targets.
        input_shape: (C, H, W) of the run that finds coupled layers;
            defaults to the size that the data preprocessor pads to, else
            (3, 224, 224).

    Raises:
        ValueError: an argument is unknown or out of range.
    """

    priority = 'LOW'  # after EMAHook and LoggerHook, before CheckpointHook

    def __init__(
        self,
        method: str = 'sfp',
        pruning_rate: float = 0.3,
        layer_rates: Mapping[str, float] | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = DEFAULT_EXCLUDE,
        granularity: str = 'filter',
        norm: float = 2,
        rate_schedule: Any = METHOD,
        decay: Any = METHOD,
        hard_ratio: Any = METHOD,
        interval: int = 1,
        by_epoch: bool = True,
        mask_before_train: bool = False,
        mask_bn: bool = False,
        mask_momentum: bool = False,
        recalibrate_bn: int = 0,
        coupled: bool = False,
        input_shape: Sequence[int] | None = None,
    ) -> None:
        self.schedule = PruningSchedule.of_method(
            method, rate_schedule, decay, hard_ratio
        )
        self.schedule.rate_at(0, 1, pruning_rate)  # checks it
        check_options(granularity, norm, mask_bn)
        for name, value, least in (
            ('interval', interval, 1),
            ('recalibrate_bn', recalibrate_bn, 0),
        ):
            if value < least:
                raise ValueError(
                    f'SoftFilterPruningHook: {name}={value} must be at least '
                    f'{least}'
                )
        if mask_momentum and self.schedule.hard_ratio is None:
            raise ValueError(
                'SoftFilterPruningHook: mask_momentum=True acts on what is '
                "pruned for good, but nothing is; set method='ghfp' or "
                "hard_ratio='cubic'"
            )
        if coupled and granularity == 'weight':
            raise ValueError(
                "SoftFilterPruningHook: coupled=True with granularity='weight'"
                ': only whole filters can be removed together; set '
                "granularity='filter' or coupled=False"
            )
        if coupled:
            given = [exclude] if isinstance(exclude, str) else exclude or ()
            exclude = [key for key in given if key not in DEFAULT_EXCLUDE]
        self.choice: dict[str, Any] = dict(
            pruning_rate=pruning_rate,
            layer_rates=layer_rates,
            include=include,
            exclude=exclude,
            granularity=granularity,
        )
        self.options: dict[str, Any] = dict(
            granularity=granularity, norm=norm, mask_bn=mask_bn
        )
        self.granularity = granularity
        self.coupled = coupled
        self.input_shape = input_shape
        self.interval = interval
        self.by_epoch = by_epoch
        self.mask_before_train = mask_before_train
        self.mask_momentum = mask_momentum
        self.recalibrate_bn = recalibrate_bn
        self.pruner: SoftPruner
        self._saved: dict[str, Any] | None = None
        self._final_at: int | None = None  # iterations done at that mask
        self._counts: list[tuple[int, int]] = []

    def select(
        self, model: nn.Module
    ) -> tuple[list[Target], list[CoupledGroup], dict[str, str]]:
        """Return targets, their groups if coupled, and who is left out.

        See `find_targets` and `couple_targets`, errors, too.
        """
        targets = find_targets(model, **self.choice)
        if not self.coupled:
            return targets, [], {}
        return couple_targets(model, targets, self.input_shape)

    def before_train(self, runner: Runner) -> None:
        """Find the targets; restore or mask.

        Raises:
            ValueError: no target, layers that cannot be coupled, or an
                unsuitable loop or interval.
            NotImplementedError: the parameters are sharded.
        """
        self.num_steps = count_steps(runner, self.by_epoch, self.interval)
        refuse_sharded(runner.model, 'SoftFilterPruningHook')
        model = unwrapped(runner.model)
        targets, groups, left_out = self.select(model)
        self.pruner = SoftPruner(
            model, targets, self.schedule, groups=groups, **self.options
        )
        counts = zero_counts(targets, self.granularity)
        if left_out:
            runner.logger.warning(
                'SoftFilterPruningHook: coupled=True leaves out channels of '
                + '; '.join(f'{key} ({why})' for key, why in left_out.items())
            )
        if not any(planned_zeros(targets, groups, self.granularity).values()):
            runner.logger.warning(
                'SoftFilterPruningHook: pruning_rate='
                f'{self.choice["pruning_rate"]} prunes nothing, as no layer '
                f'has more than {max(n for _, n in counts)} '
                f'{self.granularity}s; raise it'
            )
        if self.schedule.hard_ratio is not None:
            self.pruner.freeze_hard()
        if runner.iter > 0:
            self._restore(runner)
        elif self.mask_before_train:
            self._prune(runner, 0, 0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Mask after an epoch."""
        if self.by_epoch and due_after_epoch(runner, self.interval):
            self._prune(runner, runner.epoch, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Mask after an interval of iterations."""
        if not self.by_epoch and due_after_iter(runner, self.interval):
            done = runner.iter + 1
            self._prune(runner, done // self.interval - 1, done)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, Any] | None = None
    ) -> None:
        """Add the metrics of the pruned network."""
        metrics = {} if metrics is None else metrics
        is_final = self._final_at == runner.iter
        for name, value in list(metrics.items()):
            if isinstance(value, int | float):
                key = f'pruned/{name}'
                worst = (
                    -math.inf if greater_is_better(runner, key) else math.inf
                )
                metrics[key] = value if is_final else worst

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save what an exact resuming needs."""
        checkpoint[_KEY] = dict(
            num_steps=self.num_steps,
            final_at=self._final_at,
            hard=self.pruner.state_dict(),
        )

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Keep it until the targets are known."""
        self._saved = checkpoint.get(_KEY)

    def after_train(self, runner: Runner) -> None:
        """Report; complain if the network is not pruned in the end."""
        self.pruner.release()
        targets = self.pruner.targets
        counts = zero_counts(targets, self.granularity)
        runner.logger.info(
            'Pruning, at the end\n' + counts_table(targets, counts)
        )
        if self._final_at != runner.iter:
            runner.logger.warning(
                'SoftFilterPruningHook: the training ended before its last '
                'mask, so the network is not pruned; train all of its '
                f'{self.num_steps} steps'
            )

    def _prune(self, runner: Runner, t: int, done: int) -> None:
        """Mask as of step t, after ``done`` iterations."""
        averages = averaged_models(runner)
        self.pruner.step(t, self.num_steps, averages)
        if self.mask_momentum:
            for optimizer in optimizers(runner):
                self.pruner.clear_momentum(optimizer)
        if self.recalibrate_bn and t == self.num_steps - 1 and done:
            for model in (self.pruner.model, *averages):
                recalibrate(runner, model, self.recalibrate_bn)
        is_final = self.schedule.is_final(t, self.num_steps)
        self._final_at = done if is_final else None
        self._report(runner, t)

    def _report(self, runner: Runner, t: int) -> None:
        """Log a line, with the table of layers if it changed."""
        counts = zero_counts(self.pruner.targets, self.granularity)
        values = step_values(self.pruner, t, self.num_steps, counts)
        for key, value in values.items():
            runner.message_hub.update_scalar(f'pruning/{key}', value)
        text = f'Pruning, step {t + 1} of {self.num_steps}: '
        text += step_line(values, counts, self.granularity)
        if counts != self._counts:
            text += '\n' + counts_table(self.pruner.targets, counts)
        runner.logger.info(text)
        self._counts = counts

    def _restore(self, runner: Runner) -> None:
        """Go on where the interrupted run was."""
        if self._saved is None:
            runner.logger.warning(
                'SoftFilterPruningHook: the checkpoint is of a run without '
                'pruning; its schedules are entered in the middle'
            )
            return
        before = self._saved['num_steps']
        if before != self.num_steps:
            runner.logger.warning(
                f'SoftFilterPruningHook: the run began with {before} steps '
                f'and goes on with {self.num_steps} (max_epochs, max_iters '
                'or interval was changed). Rate and damping follow from '
                'that number, so the result is that of neither run; keep '
                'it, or start anew'
            )
        self._final_at = self._saved['final_at']
        if self._saved['hard']:
            self.pruner.load_state_dict(self._saved['hard'])
