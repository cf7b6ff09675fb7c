"""What an exact resuming needs and mmengine does not save."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from numbers import Real
from operator import attrgetter
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped

_KEY = 'mmkd_resume'
# What modules of the repositories keep in plain attributes while training.
_PLAIN: dict[str, tuple[str, ...]] = {
    'BatchSyncRandomResize': ('_input_size',),
    'DropBlock': ('iter_cnt',),
    'DynamicRoIHead': (
        'iou_history',
        'beta_history',
        'bbox_assigner.pos_iou_thr',
        'bbox_assigner.neg_iou_thr',
        'bbox_assigner.min_pos_iou',
        'bbox_head.loss_bbox.beta',
    ),
    'SwAVLoss': ('use_queue', 'queue'),
}


@HOOKS.register_module()
class ResumeStateHook(Hook):
    """Save where a loop stands, and what else a resumed run would lack.

    - the batches given out in the present pass through the data,
    - whether the validation that follows the checkpoint is done,
    - gradients that are being accumulated (on one process),
    - the count of an ``EarlyStoppingHook``,
    - plain attributes in which some stock modules keep their state.

    `ResumableEpochBasedTrainLoop` and `ResumableIterBasedTrainLoop` bring it
    along.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._position: tuple[int, int] | None = None
        self._validated: tuple[int, dict[str, Any]] | None = None
        self._saved: dict[str, Any] = {}

    def at(self, epoch: int, batches: int) -> None:
        """Note how many batches of a pass were given out."""
        self._position = epoch, batches

    def resumed(self, runner: Runner) -> dict[str, Any]:
        """Return what was saved; empty for a checkpoint without it."""
        if not getattr(runner, '_resume', False):
            return {}
        return self._saved

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, Any] | None = None
    ) -> None:
        """Note that what is saved from now on is validated."""
        self._validated = runner.iter, metrics or {}

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save."""
        done, metrics = self._validated or (-1, {})
        validated = done == checkpoint['meta']['iter']
        state: dict[str, Any] = dict(
            validated=validated,
            early_stopping=[
                (hook.wait_count, float(hook.best_score))
                for hook in _early_stopping(runner)
            ],
            gradients=_accumulated(runner),
            plain={key: _plain(value) for key, _, _, value in _kept(runner)},
        )
        if validated:  # after CheckpointHook comes EarlyStoppingHook
            state['metrics'] = {
                key: float(value)
                for key, value in metrics.items()
                if isinstance(value, Real)
            }
        if self._position is not None:
            epoch, batches = self._position
            state.update(epoch=epoch, batches=batches)
        checkpoint[_KEY] = state

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Keep it until everything is built."""
        self._saved = checkpoint.get(_KEY, {})

    def before_train(self, runner: Runner) -> None:
        """Restore what is not the loop's."""
        state = self.resumed(runner)
        if not state or not runner.iter:
            return
        if 'epoch' in state:
            self.at(state['epoch'], state['batches'])
        hooks = _early_stopping(runner)
        for hook, kept in zip(hooks, state['early_stopping'], strict=False):
            hook.wait_count, hook.best_score = kept
            if state['validated'] and hook.monitor in state['metrics']:
                hook.after_val_epoch(runner, state['metrics'])
        for key, owner, name, value in _kept(runner):
            if key in state['plain']:
                kept = state['plain'][key]
                if isinstance(kept, torch.Tensor):
                    kept = kept.to(next(runner.model.parameters()).device)
                elif isinstance(value, tuple):
                    kept = tuple(kept)
                setattr(owner, name, kept)
        self._restore_gradients(runner, state['gradients'])

    @staticmethod
    def _restore_gradients(
        runner: Runner, gradients: dict[str, torch.Tensor]
    ) -> None:
        own = dict(unwrapped(runner.model).named_parameters())
        for name in gradients.keys() & own.keys():
            own[name].grad = gradients[name].to(own[name])
        if gradients:
            print_log(
                f'gradients of {len(gradients)} parameters, accumulated '
                'before the checkpoint, are restored: none is lost',
                logger='current',
            )


def _early_stopping(runner: Runner) -> list[Any]:
    return [h for h in runner.hooks if isinstance(h, EarlyStoppingHook)]


def _accumulated(runner: Runner) -> dict[str, torch.Tensor]:
    """Return gradients that wait for the step of their optimizer."""
    wrapper = runner.optim_wrapper
    wrappers = (
        list(wrapper.values())
        if isinstance(wrapper, OptimWrapperDict)
        else [wrapper]
    )
    waiting = {
        id(parameter)
        for part in wrappers
        if part._accumulative_counts > 1
        and part._inner_count % part._accumulative_counts
        for group in part.optimizer.param_groups
        for parameter in group['params']
    }
    found = {
        name: parameter.grad.detach().cpu().clone()
        for name, parameter in unwrapped(runner.model).named_parameters()
        if id(parameter) in waiting and parameter.grad is not None
    }
    if found and get_world_size() > 1:
        print_log(
            'this checkpoint lies between steps (accumulative_counts): the '
            'gradients of the other processes are not in it, so a run that '
            'is resumed from it is not exact; save at multiples of it',
            logger='current',
            level=logging.WARNING,
        )
        return {}
    return found


def _kept(runner: Runner) -> Iterator[tuple[str, Any, str, Any]]:
    """Yield key, owner, attribute and value of plain states."""
    for path, module in unwrapped(runner.model).named_modules():
        for name in _PLAIN.get(type(module).__name__, ()):
            inner, _, last = name.rpartition('.')
            owner = attrgetter(inner)(module) if inner else module
            yield f'{path}.{name}', owner, last, getattr(owner, last)


def _plain(value: Any) -> Any:
    """Return numbers of numpy as Python's, which any reader accepts."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, 'item') else value
