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
from mmkd.models.distillers.batch import BatchInfo, CohortBatch
from mmkd.models.distillers.online import roles_of
from mmkd.models.distillers.sides import named_tensors


def offline_step(
    distiller: OfflineDistiller, optimizer: OptimWrapper, batch: dict
) -> Callable[[], None]:
    """The step of a student and its teachers.

    Raises:
        ValueError: the distiller has views.
    """
    _refuse_views(distiller)
    learned = _permanent_hooks(distiller.student, distiller.student_taps)
    taught = [
        _permanent_hooks(teacher.network, teacher.taps)
        for teacher in distiller.teachers
    ]

    def total_loss() -> torch.Tensor:
        data = distiller.data_preprocessor(copy.copy(batch), True)
        inputs, samples = data['inputs'], data['data_samples']
        info = BatchInfo(samples, inputs.device)
        with torch.no_grad():
            for teacher in distiller.teachers:
                teacher.network(teacher.renormalize(inputs), mode='tensor')
        own = distiller.student(inputs, samples, mode='loss')
        total: Any = sum(_loss_values(own))
        student = named_tensors(
            learned,
            distiller.aux_heads,
            distiller.aux_configs,
            distiller.student_wanted,
        )
        for term in distiller.terms:
            known: dict[str, Any] = {}
            if distiller.teachers:
                side = distiller.teachers[term.teacher_index]
                with torch.no_grad():
                    known = named_tensors(
                        taught[term.teacher_index],
                        side.aux_heads,
                        side.aux_configs,
                        side.wanted,
                    )
            value = distiller.losses[term.name](
                *term.tensors(student, known),
                **{name: info[name] for name in term.extras},
            )
            parts = value.values() if isinstance(value, dict) else [value]
            total = total + term.weight * sum(parts)
        return total

    def step() -> None:
        with optimizer.optim_context(distiller):
            total = total_loss()
        optimizer.update_params(total)

    return step


def online_step(
    distiller: OnlineDistiller, optimizer: OptimWrapper, batch: dict
) -> Callable[[], None]:
    """The step of the peers of a cohort, one after the other.

    A shared trunk runs once: the other peers are given what it gave the
    first one.

    Raises:
        ValueError: the distiller has views, or a step of several phases, or
            a trunk is shared that every peer runs on its own view.
    """
    _refuse_views(distiller)
    if distiller.phases:
        raise ValueError(
            f'benchmark: the step has phases ({", ".join(distiller.phases)}),'
            ' which have no step by hand; choose another exchange'
        )
    cohort = distiller.cohort
    learned = [
        _permanent_hooks(peer, taps)
        for peer, taps in zip(cohort.peers, distiller.taps, strict=True)
    ]
    trunks = [
        _run_once(cohort[part.peers[0]], part, cohort.sharing.scale_gradient)
        for part in cohort.sharing.parts
    ]

    def total_loss() -> torch.Tensor:
        data = distiller.data_preprocessor(copy.copy(batch), True)
        inputs, samples = data['inputs'], data['data_samples']
        views = inputs
        if isinstance(inputs, torch.Tensor):
            views = [inputs] * len(cohort)
        elif trunks:
            raise ValueError(
                'benchmark: a trunk that is shared between several views has '
                'no step by hand; set num_views=1 or cohort.shared=[]'
            )
        info = CohortBatch(samples, views[0].device, network=cohort[0])
        total: Any = 0.0
        tensors = []
        for k, peer in enumerate(cohort.peers):
            own = peer(views[k], samples, mode='loss')
            weight = distiller.task_weights[k]
            total = total + weight * sum(_loss_values(own))
            tensors.append(distiller.named_tensors(k, learned[k]))
        for exchange in distiller.exchanges:
            losses = exchange(roles_of(exchange, tensors), info)
            total = total + sum(_loss_values(losses))
        for kept in trunks:
            kept.clear()
        return total

    def step() -> None:
        with optimizer.optim_context(distiller):
            total = total_loss()
        optimizer.update_params(total)
        for exchange in distiller.exchanges:
            exchange.after_step(distiller)

    return step


def exchange_step(
    distiller: OnlineDistiller, batch: dict
) -> Callable[[], None]:
    """Losses and backward of the exchanges alone, on recorded tensors."""
    data = distiller.data_preprocessor(copy.copy(batch), True)
    inputs, samples = data['inputs'], data['data_samples']
    calls: list[tuple[nn.Module, Any, Any]] = []

    def keep(exchange: nn.Module, args: Any) -> None:
        peers = [
            {
                role: value.detach().requires_grad_()
                for role, value in roles.items()
            }
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


def _refuse_views(distiller: nn.Module) -> None:
    if distiller.views is not None:
        raise ValueError(
            'benchmark: a config with views has no step by hand; remove '
            'model.views'
        )


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
        ValueError: a tap is more than one tensor of one module.
    """
    found: dict[str, Any] = {}
    for name, paths in taps.paths.items():
        if len(paths) != 1 or paths[0].index is not None:
            raise ValueError(
                f'benchmark: tap {name} is a list or has an index; the step '
                'by hand knows single tensors only'
            )
        module = network.get_submodule(paths[0].module)

        def keep_input(_: nn.Module, args: Any, name: str = name) -> None:
            found[name] = _only(args[0])

        def keep_output(
            _: nn.Module, args: Any, output: Any, name: str = name
        ) -> None:
            found[name] = _only(output)

        if paths[0].end == 'input':
            module.register_forward_pre_hook(keep_input)
        else:
            module.register_forward_hook(keep_output)
    return found


def _only(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and len(value) == 1:
        return value[0]
    return value
