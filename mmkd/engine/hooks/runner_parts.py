"""What hooks look for in a runner."""

from __future__ import annotations

import itertools
import math
from typing import Any

from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim import Optimizer

from mmkd.pruning.recalibration import recalibrate_batch_norm
from mmkd.utils.dist import unwrapped

_ERRORS = ('loss', 'nme', 'epe', 'error', 'mae', 'rmse')


def averaged_models(runner: Runner) -> list[Any]:
    """Return the copies that instances of ``EMAHook`` keep."""
    return [
        unwrapped(hook.ema_model.module)
        for hook in runner.hooks
        if isinstance(hook, EMAHook)
    ]


def optimizers(runner: Runner) -> list[Optimizer]:
    """Return every optimizer of the runner."""
    wrapper = runner.optim_wrapper
    wrappers = (
        list(wrapper.values())
        if isinstance(wrapper, OptimWrapperDict)
        else [wrapper]
    )
    return [part.optimizer for part in wrappers]


def greater_is_better(runner: Runner, metric: str) -> bool:
    """Return the direction of a metric.

    The rule that a ``CheckpointHook`` has for it, else by its name.
    """
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best is not None:
            rules = dict(zip(hook.key_indicators, hook.rules, strict=False))
            if rules.get(metric) is not None:
                return rules[metric] == 'greater'
    name = metric.lower()
    return not any(error in name for error in _ERRORS)


def add_pruned_metrics(
    runner: Runner, metrics: dict[str, Any], is_pruned: bool
) -> None:
    """Give each metric a second name ``pruned/<metric>``.

    Args:
        runner: tells which direction is better, see `greater_is_better`.
        metrics: of a validation; changed in place.
        is_pruned: whether the weights are those of a pruned network; if
            not, the values are infinitely bad.
    """
    for name, value in list(metrics.items()):
        if isinstance(value, int | float):
            key = f'pruned/{name}'
            worst = -math.inf if greater_is_better(runner, key) else math.inf
            metrics[key] = value if is_pruned else worst


def refuse_sharded(model: nn.Module, who: str) -> None:
    """Complain about parameters of which a process holds a part only.

    Raises:
        NotImplementedError: FSDP or ZeRO-3.
    """
    sharded = any(
        isinstance(part, FullyShardedDataParallel) for part in model.modules()
    ) or any(
        type(parameter).__name__ == 'DTensor' or hasattr(parameter, 'ds_id')
        for parameter in model.parameters()
    )
    if sharded:
        raise NotImplementedError(
            f'{who}: the parameters are sharded (FSDP or ZeRO-3), so no '
            'process sees a whole filter; train with '
            "model_wrapper_cfg=dict(type='MMDistributedDataParallel')"
        )


def recalibrate(runner: Runner, model: Any, num_batches: int) -> None:
    """Estimate batch norms anew from batches of the training, and log it.

    Args:
        runner: gives data and precision.
        model: not wrapped; that of the runner, or a copy.
        num_batches: how many.
    """

    def forward(batch: Any) -> None:
        with runner.optim_wrapper.optim_context(model):
            data = model.data_preprocessor(batch, True)
            model._run_forward(data, mode='loss')

    batches = itertools.islice(runner.train_dataloader, num_batches)
    count = recalibrate_batch_norm(model, batches, forward)
    runner.logger.info(
        f'Pruning: statistics of {count} batch norms estimated anew from '
        f'{num_batches} batches'
    )
