"""Trains the layer-matching network of L-MCL by a bi-level step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from mmkd.engine.meta_gradient import (
    Tensors,
    Virtual,
    check_meta_settings,
    meta_gradient,
)
from mmkd.engine.same_pass import SamePass, learning
from mmkd.engine.twice_differentiable import (
    explain_failure,
    require_twice_differentiable,
)
from mmkd.registry import HOOKS
from mmkd.utils.dist import broadcast_from_first, get_world_size, unwrapped

_KEY = 'mmkd_meta_optimizer'
_OWNER = 'MetaOptimizationHook'


@HOOKS.register_module()
class MetaOptimizationHook(Hook):
    """Ask which pair weights would have made the classifiers better (L-MCL).

    After the step of iterations 0, F, 2F, ... of every epoch, on its batch:
    n virtual steps of SGD on the contrastive terms (weights not detached),
    one on the cross entropy of all stages; the gradient of the cross entropy
    reached, with respect to the matching network phi, goes through all of
    them (`meta_gradient`). Then phi takes a step of its own SGD, and
    everything else is as it was before: networks, buffers, banks, main
    optimizer, random state. Learning rates and weight decay are those of the
    main optimizer, now. Computed in float32 (autocast off). With several
    processes each walks on its own batch, and the gradients of phi are
    averaged. Needs a `LayerwiseMutualContrastiveExchange`. Paper:
    https://arxiv.org/abs/2207.11518.

    Logged: ``meta_objective``, the cross entropy reached.

    Args:
        interval: F, iterations from step to step, counted anew every epoch.
        num_inner_steps: n.
        momentum: of the virtual steps.
        adjoint: ``'exact'``, or ``'published'``, see `meta_gradient`.
        restore_buffers: False leaves the running averages of batch norms
            moved by one update, as the authors' code does.
        meta_optimizer: dict of phi's SGD; ``lr`` and ``weight_decay`` are
            those of the main optimizer unless given.

    Raises:
        ValueError: an argument is out of range; in training, what makes
            the step inexact: gradient accumulation, layers without second
            derivative, contrast over all processes (``gather=True``).
        TypeError: the model has no matching network.
        FloatingPointError: a gradient of phi is not finite.
    """

    priority = 'NORMAL'  # before the schedulers change the learning rate

    def __init__(
        self,
        interval: int = 50,
        num_inner_steps: int = 2,
        momentum: float = 0.9,
        adjoint: str = 'exact',
        restore_buffers: bool = True,
        meta_optimizer: Mapping[str, Any] | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(
                f'{_OWNER}: interval={interval} must be at least 1; set e.g. '
                'interval=50, or remove the hook'
            )
        check_meta_settings(num_inner_steps, adjoint)
        self.interval = interval
        self.num_inner_steps = num_inner_steps
        self.momentum = momentum
        self.adjoint = adjoint
        self.restore_buffers = restore_buffers
        self.settings = dict(
            meta_optimizer or dict(type='SGD', momentum=0.9, nesterov=True)
        )
        kind = self.settings.pop('type', 'SGD')
        if kind != 'SGD':
            raise ValueError(
                f"{_OWNER}: meta_optimizer.type={kind!r}; set type='SGD'"
            )
        self.optimizer: torch.optim.SGD
        self._saved: dict[str, Any] | None = None
        self._batch: Any = None
        self._handle: Any = None

    # -- around the training ------------------------------------------------

    def before_train(self, runner: Runner) -> None:
        """Find the matching network; build or restore its optimizer."""
        model = unwrapped(runner.model)
        wrapper = _main_wrapper(runner)
        _require_every_step(wrapper)
        self.attach(model, wrapper.optimizer.param_groups[0]['lr'])
        self._handle = model.data_preprocessor.register_forward_hook(
            self._keep_batch
        )

    def attach(self, model: Any, lr: float) -> None:
        """Find the matching network of ``model``; build its optimizer.

        Args:
            model: the distiller, not wrapped.
            lr: of phi, unless ``meta_optimizer`` says another.

        Raises:
            TypeError, ValueError: see the class.
        """
        self.part = _matching_part(model)
        exchange = self.part.exchange
        if get_world_size() > 1 and getattr(exchange.loss, 'gather', False):
            raise ValueError(
                f'{_OWNER}: exchange.loss.gather=True contrasts over all '
                'processes, but the virtual steps of a process are its own; '
                'set gather=False, or remove the hook'
            )
        require_twice_differentiable(model, _OWNER)
        phi = list(exchange.matching.parameters())
        broadcast_from_first([p.data for p in phi])
        self.optimizer = torch.optim.SGD(phi, **{'lr': lr, **self.settings})
        if self._saved is not None:
            self.optimizer.load_state_dict(self._saved)

    def after_train(self, runner: Runner) -> None:
        """Let go of the model."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = self._batch = None

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save the momentum of phi."""
        checkpoint[_KEY] = self.optimizer.state_dict()

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the momentum of phi until its optimizer is built."""
        self._saved = checkpoint.get(_KEY)

    def _keep_batch(self, module: nn.Module, args: Any, output: Any) -> None:
        """Keep a preprocessed batch: its augmentation may be random."""
        self._batch = output

    # -- a step -------------------------------------------------------------

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Take a meta step on the batch of iterations 0, F, 2F, ..."""
        batch, self._batch = self._batch, None
        left_out = outputs is not None and not outputs  # a bad batch
        if batch_idx % self.interval or left_out:
            return
        model = unwrapped(runner.model)
        groups = _main_wrapper(runner).optimizer.param_groups
        value = self.step(model, batch, groups)
        runner.message_hub.update_scalar('train/meta_objective', value)

    def step(
        self, model: Any, batch: Mapping[str, Any], groups: list[dict]
    ) -> float:
        """Change phi by one step, and nothing else.

        Args:
            model: the distiller, in training mode.
            batch: ``inputs`` and ``data_samples``, preprocessed.
            groups: of the main optimizer.

        Returns:
            The cross entropy that the virtual steps reached.
        """
        gradients, value = self.gradient(model, batch, groups)
        for gradient in gradients:
            if get_world_size() > 1:
                all_reduce(gradient, op='mean')
        phi = self.optimizer.param_groups[0]['params']
        if not all(bool(g.isfinite().all()) for g in gradients):
            raise FloatingPointError(
                f'{_OWNER}: the meta gradient is not finite (the cross '
                f'entropy after the virtual steps is {value:g}): training '
                'stops before the step. Lower optim_wrapper.optimizer.lr, '
                'or remove the hook'
            )
        for key in ('lr', 'weight_decay'):
            if key not in self.settings:
                self.optimizer.param_groups[0][key] = groups[0].get(key, 0.0)
        for p, gradient in zip(phi, gradients, strict=True):
            p.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def gradient(
        self, model: Any, batch: Mapping[str, Any], groups: list[dict]
    ) -> tuple[Tensors, float]:
        """Return the gradient of phi, and the cross entropy reached.

        Args: see `step`.
        """
        exchange = self.part.exchange
        phi = list(exchange.matching.parameters())
        virtual = Virtual.of(groups, self.momentum, phi)
        restored = SamePass(model, batch['inputs'])

        def observed() -> tuple[Any, Any]:
            restored.start()
            seen = model.observe(**batch)
            return self.part.peers(seen.tensors), seen.batch

        def inner() -> torch.Tensor:
            return exchange.inner_loss(*observed())

        def outer() -> torch.Tensor:
            return exchange.outer_loss(*observed())

        with learning(exchange.matching), restored:
            try:
                found = meta_gradient(
                    inner,
                    outer,
                    virtual,
                    phi,
                    self.num_inner_steps,
                    self.adjoint,
                )
            except RuntimeError as error:
                explain_failure(model, observed, _OWNER, error)
                raise
            restored.buffers_too = self.restore_buffers
            return found


def _matching_part(model: Any) -> Any:
    """Return the part of the model that has a matching network.

    Raises:
        TypeError: there is not one.
    """
    found = [
        part
        for part in getattr(model, 'parts', ())
        if getattr(part.module, 'matching', None) is not None
        and hasattr(part.module, 'inner_loss')
    ]
    if len(found) != 1:
        raise TypeError(
            f'{_OWNER}: the model has {len(found)} exchanges with a matching '
            'network, not 1; set model.exchange=dict(type="mmkd.'
            'LayerwiseMutualContrastiveExchange", matching=dict(type="mmkd.'
            'LayerMatchingNetwork"), ...), or remove the hook'
        )
    return found[0]


def _main_wrapper(runner: Runner) -> Any:
    wrapper = runner.optim_wrapper
    return (
        wrapper['main'] if isinstance(wrapper, OptimWrapperDict) else wrapper
    )


def _require_every_step(wrapper: Any) -> None:
    """Refuse gradient accumulation.

    Raises:
        ValueError: a virtual step on one batch is no step of such a run.
    """
    counts = getattr(wrapper, '_accumulative_counts', 1)
    if counts > 1:
        raise ValueError(
            f'{_OWNER}: optim_wrapper.accumulative_counts={counts}: a '
            'virtual step on one batch is no step of this run; set '
            'accumulative_counts=1 (and a larger batch), or remove the hook'
        )
