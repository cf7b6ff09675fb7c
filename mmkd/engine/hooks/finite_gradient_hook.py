"""A non-finite gradient stops the training before the step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from mmkd.engine.hooks.left_out_steps import LeftOutSteps
from mmkd.engine.hooks.step_record import StepRecord
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped
from mmkd.utils.finite_tensors import (
    is_finite,
    listed,
    nonfinite_weights,
    total_norm,
)

#: steps in a row that a loss scaler may leave out; each halves its scale
SKIPPED = 50


@HOOKS.register_module()
class FiniteGradientHook(Hook):
    """Stops a run before a step with a non-finite gradient.

    It looks at one number per step, the norm of all gradients; reading it is
    the only time that it waits for the device. A loss scaler leaves such
    steps out by itself, so with one only `SKIPPED` of them in a row stop the
    run. Weights and running averages that are not finite are not saved.

    The tools of mmkd add it to every run. In ``custom_hooks`` with
    ``max_left_out`` it lets a run go on without a bad step, see
    `LeftOutSteps`; then several processes agree at every step.

    Args:
        interval: check every so many steps; -1 never.
        max_left_out: so many bad steps of a run are left out.

    Raises:
        ValueError: steps can be left out only if all are checked.
        FloatingPointError: names losses that are not finite, the range of
            the images, the learning rate and the first parameters
            concerned.
    """

    priority = 'VERY_LOW'

    def __init__(self, interval: int = 1, max_left_out: int = 0) -> None:
        if max_left_out < 0 or (max_left_out and interval != 1):
            raise ValueError(
                f'FiniteGradientHook: max_left_out={max_left_out} with '
                f'interval={interval}: steps can be left out only if all '
                'are checked; set a number of steps, and interval=1'
            )
        self.interval = interval
        self.max_left_out = max_left_out
        self._undo: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Watch every optimizer."""
        if self.interval < 1:
            return
        model = unwrapped(runner.model)
        record = StepRecord(model)
        self._undo.append(record.remove)
        named = _wrappers(runner.optim_wrapper)
        left_out = None
        if self.max_left_out:
            wrappers = [wrapper for _, wrapper in named]
            left_out = LeftOutSteps(runner, wrappers, self.max_left_out)
            self._undo.append(left_out.remove)
        for key, wrapper in named:
            watch = _Watch(wrapper, key, model, self.interval, record)
            self._undo.append(watch.remove)
            watch.left_out = left_out

    def after_train(self, runner: Runner) -> None:
        """Leave the optimizers as they were."""
        while self._undo:
            self._undo.pop()()

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse to save weights that are of no use."""
        bad = nonfinite_weights(unwrapped(runner.model))
        if bad and self.interval > 0:
            raise FloatingPointError(
                f'after iteration {runner.iter + 1}, {listed(bad)} of the '
                'model are not finite: nothing is saved. Lower '
                'optim_wrapper.optimizer.lr, clip gradients '
                '(optim_wrapper.clip_grad=dict(max_norm=...)), or look for '
                'bad samples'
            )


class _Watch:
    """Looks at the gradients before an OptimWrapper steps."""

    def __init__(
        self,
        wrapper: Any,
        key: str,
        model: nn.Module,
        interval: int,
        record: StepRecord,
    ) -> None:
        self.wrapper, self.key, self.model = wrapper, key, model
        self.interval, self.count, self.skipped = interval, 0, 0
        self.loss: torch.Tensor | None = None
        self.record = record
        self.left_out: LeftOutSteps | None = None
        self._before = {
            name: vars(wrapper).get(name) for name in ('step', 'backward')
        }
        self._step, self._backward = wrapper.step, wrapper.backward
        wrapper.step = _instead_of(wrapper.step, self.step)
        wrapper.backward = _instead_of(wrapper.backward, self.backward)
        scaler = getattr(wrapper, 'loss_scaler', None)
        self.scaled = scaler is not None
        self._handle = wrapper.optimizer.register_step_pre_hook(self.stepped)

    def remove(self) -> None:
        self._handle.remove()
        for name, before in self._before.items():
            delattr(self.wrapper, name)
            if before is not None:
                setattr(self.wrapper, name, before)

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        self.loss = loss.detach()
        self._backward(loss, **kwargs)

    def stepped(self, *_: Any) -> None:
        """Note that the optimizer steps: a loss scaler found no fault."""
        self.skipped = -1

    def step(self, **kwargs: Any) -> None:
        self.count += 1
        if self.left_out is not None:
            self.decide(self.left_out)
        elif not self.scaled and self.count % self.interval == 0:
            self.check()
        self._step(**kwargs)
        if self.scaled:
            self.skipped += 1
            if self.skipped >= SKIPPED:
                self.stop(
                    f'the gradient was not finite in {self.skipped} steps '
                    'in a row, and the loss scaler left them all out',
                    self.names(),
                )

    def check(self) -> None:
        norm = total_norm(list(self.gradients()))
        if math.isfinite(norm):
            return
        names = self.names()
        if names:  # large ones alone let the norm overflow
            self.stop('the gradient is not finite', names)

    def decide(self, left_out: LeftOutSteps) -> None:
        """Let all processes leave out the step, or none."""
        told = None
        if not self.scaled:
            try:
                self.check()
            except FloatingPointError as error:
                told = str(error)
        left_out.decide(told)

    def gradients(self) -> Iterator[torch.Tensor]:
        for group in self.wrapper.optimizer.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    yield parameter.grad

    def names(self) -> list[str]:
        """Return the parameters whose gradient is not finite."""
        own = {
            id(parameter)
            for group in self.wrapper.optimizer.param_groups
            for parameter in group['params']
        }
        return [
            name
            for name, parameter in self.model.named_parameters()
            if id(parameter) in own
            and parameter.grad is not None
            and not is_finite(parameter.grad)
        ]

    def stop(self, what: str, names: list[str]) -> None:
        rates = sorted({g['lr'] for g in self.wrapper.optimizer.param_groups})
        rate = ' to '.join(
            f'{r:g}' for r in dict.fromkeys((rates[0], rates[-1]))
        )
        loss = '' if self.loss is None else f' (the loss is {self.loss:g})'
        where = f': {listed(names)}' if names else ''
        seen = self.record.told()
        seen = f' Seen: {seen}.' if seen else ''
        parameters = dict(self.model.named_parameters())
        weights = [  # running averages may be those of this very batch
            n for n in nonfinite_weights(self.model) if n in parameters
        ]
        before = (
            f' {listed(weights)} of the model are not finite since an '
            'earlier step.'
            if weights
            else ''
        )
        raise FloatingPointError(
            f'{what}{loss}{where}: training stops before the step.'
            f'{before}{seen} Lower {self.key}.optimizer.lr (now {rate}), '
            f'clip gradients ({self.key}.clip_grad=dict(max_norm=...)), or '
            'look for bad samples'
        )


def _instead_of(method: Any, function: Callable[..., None]) -> Any:
    """Return a function that looks like ``method``, marks included.

    Schedulers mark the step of their optimizer.
    """

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    return wrapper


def _wrappers(optim_wrapper: Any) -> list[tuple[str, Any]]:
    if isinstance(optim_wrapper, OptimWrapperDict):
        return [
            (f'optim_wrapper.{name}', wrapper)
            for name, wrapper in optim_wrapper.items()
        ]
    return [('optim_wrapper', optim_wrapper)]
