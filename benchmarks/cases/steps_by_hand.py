"""Distillation steps written out: networks and losses, and nothing else.

Hooks stay on the tapped modules; labels are read once; nothing is checked or
logged. This is what the steps of the distillers are compared with.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd.models.cohorts.sharing import SharedPart
from mmkd.models.distillers import OfflineDistiller, OnlineDistiller
from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.phases import MAIN


def offline_step(
    distiller: OfflineDistiller, optimizer: OptimWrapper, batch: dict
) -> Callable[[], None]:
    """The step of a student and its teachers."""
    kept = {
        role.label: _permanent_hooks(role.network, role.taps)
        for role in distiller.roles
    }
    student, *others = distiller.roles

    def total_loss() -> torch.Tensor:
        data = distiller.data_preprocessor(copy.copy(batch), True)
        inputs, samples = data['inputs'], data['data_samples']
        images, rows, info = _views(distiller, inputs, samples)
        with torch.no_grad():
            for teacher in distiller.teachers:
                shown = teacher.renormalize(images)
                if teacher.dtype is not None:
                    shown = shown.to(teacher.dtype)
                teacher.network(shown, mode='tensor')

        def tensors() -> dict[str, Any]:
            return student.named(kept['student'])

        named = {}
        own, named['student'] = _run(
            distiller.student, images, rows, samples, tensors
        )
        total: Any = sum(_loss_values(own))
        with torch.no_grad():
            for role in others:
                named[role.label] = role.named(kept[role.label])
        terms: Any = distiller.parts
        for part in terms:
            inputs = [named[label][name] for label, name in part.reads()]
            value = part.module(
                *inputs, **{name: info[name] for name in part.spec.extras}
            )
            parts = value.values() if isinstance(value, dict) else [value]
            total = total + part.spec.weight * sum(parts)
        return total

    def step() -> None:
        with optimizer.optim_context(distiller):
            total = total_loss()
        optimizer.update_params(total)

    return step


def online_step(
    distiller: OnlineDistiller, optimizer: Any, batch: dict
) -> Callable[[], None]:
    """The step of the peers of a cohort, one after the other.

    A shared trunk runs once per view: the other peers are given what it gave
    the first one. Averaged copies run after them, without gradient. Where
    there are phases, each differentiates its own losses.

    Args:
        distiller: whose step it is.
        optimizer: one, or one per phase.
        batch: what the data loader gives.

    Raises:
        ValueError: one peer alone trains the trunk.
    """
    cohort = distiller.cohort
    if cohort.sharing.first_only:
        raise ValueError(
            'benchmark: a trunk that the first peer alone trains has no step '
            "by hand; set cohort.stem_gradient='all'"
        )
    following = {
        group: [_permanent_hooks(r.network, r.taps) for r in group.roles]
        for group in distiller.following.values()
    }
    learned = [
        _permanent_hooks(role.network, role.taps) for role in distiller.peers
    ]
    trunks = [
        _run_once(cohort[part.peers[0]], part, cohort.sharing.scale_gradient)
        for part in cohort.sharing.parts
    ]
    trunks += [
        _run_once(group.copies[part.peers[0]], part, False)
        for group in following
        for part in group.sharing.parts
    ]

    def forget() -> None:
        for kept in trunks:
            kept.clear()

    def total_losses() -> dict[str, Any]:
        data = distiller.data_preprocessor(copy.copy(batch), True)
        inputs, samples = data['inputs'], data['data_samples']
        views = inputs
        one_view = isinstance(inputs, torch.Tensor)
        if one_view:
            views = [inputs] * len(cohort)
        info = Batch(samples, views[0].device, network=cohort[0])
        rows = None
        if distiller.views is not None:
            turned, rows, labels = _views(distiller, views[0], samples)
            views = [turned] * len(cohort)
            info = Batch(
                samples, turned.device, labels['view_labels'], cohort[0]
            )
        total: Any = 0.0
        totals: dict[str, Any] = {}
        tensors = []
        for k, peer in enumerate(cohort.peers):

            def named(k: int = k) -> dict[str, Any]:
                return distiller.peers[k].named(learned[k])

            own, seen = _run(peer, views[k], rows, samples, named)
            weight = distiller.task_weights[k]
            total = total + weight * sum(_loss_values(own))
            tensors.append(seen)
            if not one_view:
                forget()
        for (name, group), hooks in zip(
            distiller.following.items(), following.values(), strict=True
        ):
            for k, (role, kept) in enumerate(
                zip(group.roles, hooks, strict=True)
            ):
                with torch.no_grad():
                    role.network(views[k], mode='tensor')
                    copied = role.named(kept)
                tensors[k] |= {f'{name}.{t}': v for t, v in copied.items()}
                if not one_view:
                    forget()
        for exchange in distiller.exchanges:
            read = [
                {role: own[name] for role, name in exchange.on.items()}
                for own in tensors
            ]
            read = exchange.adapt(read)
            aux = exchange.auxiliary(read, info)
            total = total + sum(_loss_values(exchange(read, info, None, aux)))
            for phase in exchange.phases:
                losses = exchange(read, info, phase, aux)
                totals[phase] = sum(_loss_values(losses))
        forget()
        return {MAIN: total, **totals}

    def step() -> None:
        phased = bool(distiller.phases)
        main = optimizer[MAIN] if phased else optimizer
        with main.optim_context(distiller):
            totals = total_losses()
        if phased:
            _step_phases(optimizer, totals)
        else:
            main.update_params(totals[MAIN])
        for exchange in distiller.exchanges:
            exchange.after_step(distiller.trained)
        for group in following:
            group.copies.follow()

    return step


def _step_phases(optimizers: Any, totals: dict[str, Any]) -> None:
    """Differentiate every phase at the same weights, then step."""
    found = []
    for phase, total in totals.items():
        groups = optimizers[phase].optimizer.param_groups
        leaves = [p for group in groups for p in group['params']]
        grads = torch.autograd.grad(
            total,
            leaves,
            retain_graph=phase != list(totals)[-1],
            allow_unused=True,
        )
        found.append((optimizers[phase].optimizer, leaves, grads))
    for optimizer, leaves, grads in found:
        for leaf, grad in zip(leaves, grads, strict=True):
            leaf.grad = grad
        optimizer.step()
        optimizer.zero_grad()


def exchange_step(
    distiller: OnlineDistiller, batch: dict
) -> Callable[[], None]:
    """Losses and backward of the exchanges alone, on recorded tensors."""
    data = distiller.data_preprocessor(copy.copy(batch), True)
    inputs, samples = data['inputs'], data['data_samples']
    calls: list[tuple[nn.Module, Any, Any]] = []

    def keep(exchange: nn.Module, args: Any) -> None:
        peers = [
            {role: _leaves(value) for role, value in roles.items()}
            for roles in args[0]
        ]
        calls.append((exchange, peers, args[1]))

    handles = [
        exchange.register_forward_pre_hook(keep)
        for exchange in distiller.exchanges
    ]
    distiller(inputs, samples, mode='loss')
    for handle in handles:
        handle.remove()

    def step() -> None:
        total: Any = sum(
            value
            for exchange, peers, info in calls
            for value in _loss_values(exchange(peers, info))
        )
        total.backward()

    return step


def _leaves(value: Any) -> Any:
    """Return copies without history that take gradients."""
    if isinstance(value, (list, tuple)):
        return [_leaves(entry) for entry in value]
    return value.detach().requires_grad_()


def _views(
    distiller: Any, inputs: torch.Tensor, samples: Any
) -> tuple[torch.Tensor, slice | None, Batch]:
    """Return the views, the rows with a task loss, and batch values."""
    info = Batch(samples, inputs.device)
    if distiller.views is None:
        return inputs, None, info
    images, labels = distiller.views(inputs, info['labels'])
    rows = distiller.views.task_rows(len(inputs))
    return images, rows, Batch(samples, inputs.device, labels)


def _run(
    network: Any,
    images: torch.Tensor,
    rows: slice | None,
    samples: Any,
    tensors: Callable[[], dict[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the task losses and what the taps and heads gave."""
    if rows is None:
        own = network(images, samples, mode='loss')
        return own, tensors()
    feats = network.extract_feat(images)
    network.head(feats)
    seen = tensors()
    chosen = tuple(feat[rows] for feat in feats)
    return network.head.loss(chosen, samples), seen


def _run_once(
    network: nn.Module, part: SharedPart, scale_gradient: bool
) -> dict[str, Any]:
    """Let shared modules answer from the returned dict until it is empty."""
    kept: dict[str, Any] = {}
    for path in part.paths:
        module = network.get_submodule(path)

        def answer(
            *args: Any,
            compute: Callable[..., Any] = module.forward,
            path: str = path,
        ) -> Any:
            if path not in kept:
                kept[path] = compute(*args)
                if scale_gradient and path == part.paths[-1]:
                    kept[path].register_hook(lambda grad: grad / part.branches)
            return kept[path]

        module.forward = answer
    return kept


def _loss_values(losses: dict[str, Any]) -> list[torch.Tensor]:
    return [
        sum(entry.mean() for entry in value)
        if isinstance(value, (list, tuple))
        else value.mean()
        for name, value in losses.items()
        if 'loss' in name
    ]


def _permanent_hooks(network: nn.Module, taps: Any) -> dict[str, Any]:
    """Keep the newest tensor of each tap in the returned dict.

    A module that gives a tuple of one tensor counts as giving the tensor.

    Raises:
        ValueError: a tap is an entry of what a module gives.
    """
    found: dict[str, Any] = {}
    for name, paths in taps.paths.items():
        kept: Any = found
        if len(paths) > 1:
            kept = found[name] = [None] * len(paths)
        for number, path in enumerate(paths):
            if path.index is not None:
                raise ValueError(
                    f'benchmark: tap {name} has an index, which the step by '
                    'hand does not know'
                )
            module = network.get_submodule(path.module)
            _keep(module, path.end, kept, name if kept is found else number)
    return found


def _keep(module: nn.Module, end: str, kept: Any, key: Any) -> None:
    """Put the input or output of ``module`` into ``kept[key]``."""

    def keep_input(_: nn.Module, args: Any) -> None:
        kept[key] = _only(args[0])

    def keep_output(_: nn.Module, args: Any, output: Any) -> None:
        kept[key] = _only(output)

    if end == 'input':
        module.register_forward_pre_hook(keep_input)
    else:
        module.register_forward_hook(keep_output)


def _only(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and len(value) == 1:
        return value[0]
    return value
