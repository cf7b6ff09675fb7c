"""What a distillation step costs beside the same work done by hand."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd.models.distillers import OfflineDistiller
from mmkd.models.distillers.batch import BatchInfo
from mmkd.models.distillers.sides import named_tensors

Step = Callable[[], Any]


@dataclass(frozen=True)
class StepCost:
    """Cost of one kind of step.

    Args:
        wall: seconds of every repetition.
        cpu: seconds of process CPU time of every repetition.
        kept_bytes: distinct storage that autograd keeps for backward,
            without parameters.
        peak_bytes: highest allocation on the GPU; None on a CPU.
    """

    wall: list[float]
    cpu: list[float]
    kept_bytes: int
    peak_bytes: int | None


def ratio(costs: list[float], others: list[float]) -> dict[str, float]:
    """Compare two kinds of step that ran in turns.

    Returns:
        ``min``: of the fastest repetitions; ``paired``: the median of the
        ratios within each round.
    """
    rounds = [one / two for one, two in zip(costs, others, strict=True)]
    return dict(min=min(costs) / min(others), paired=statistics.median(rounds))


def student_step(
    student: nn.Module, optimizer: OptimWrapper, batch: dict
) -> Step:
    """The student alone: forward, task loss, backward, optimizer."""
    return lambda: student.train_step(copy.copy(batch), optimizer)


def distiller_step(
    distiller: OfflineDistiller, optimizer: OptimWrapper, batch: dict
) -> Step:
    """The step that training runs."""
    return lambda: distiller.train_step(copy.copy(batch), optimizer)


def hand_step(
    distiller: OfflineDistiller, optimizer: OptimWrapper, batch: dict
) -> Step:
    """The same networks and losses, called one after the other by hand.

    Hooks stay on the tapped modules; labels are read once; nothing is
    checked or logged.

    Raises:
        ValueError: the distiller has views.
    """
    if distiller.views is not None:
        raise ValueError(
            'benchmark: a config with views has no step by hand; remove '
            'model.views'
        )
    learned = _permanent_hooks(distiller.student, distiller.student_taps)
    taught = [
        _permanent_hooks(teacher.network, teacher.taps)
        for teacher in distiller.teachers
    ]

    def step() -> None:
        data = distiller.data_preprocessor(copy.copy(batch), True)
        inputs, samples = data['inputs'], data['data_samples']
        info = BatchInfo(samples, inputs.device)
        with torch.no_grad():
            for teacher in distiller.teachers:
                teacher.network(teacher.renormalize(inputs), mode='tensor')
        own = distiller.student(inputs, samples, mode='loss')
        total = sum(_loss_values(own))
        student = named_tensors(
            learned,
            distiller.aux_heads,
            distiller.aux_configs,
            distiller.student_wanted,
        )
        for term in distiller.terms:
            teacher: dict[str, Any] = {}
            if distiller.teachers:
                side = distiller.teachers[term.teacher_index]
                with torch.no_grad():
                    teacher = named_tensors(
                        taught[term.teacher_index],
                        side.aux_heads,
                        side.aux_configs,
                        side.wanted,
                    )
            value = distiller.losses[term.name](
                *term.tensors(student, teacher),
                **{name: info[name] for name in term.extras},
            )
            parts = value.values() if isinstance(value, dict) else [value]
            total = total + term.weight * sum(parts)
        optimizer.update_params(total)

    return step


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
            found[name] = args[0]

        def keep_output(
            _: nn.Module, args: Any, output: Any, name: str = name
        ) -> None:
            found[name] = output

        if paths[0].end == 'input':
            module.register_forward_pre_hook(keep_input)
        else:
            module.register_forward_hook(keep_output)
    return found


def measure(
    steps: dict[str, Step],
    rounds: int,
    parameters: list[nn.Parameter],
    device: torch.device,
    warm_up: int = 2,
) -> dict[str, StepCost]:
    """Run the steps in turns and return the cost of each.

    Args:
        steps: by name; every round starts with another one.
        rounds: how often each runs.
        parameters: of all networks; not counted as kept.
        device: where the steps run.
        warm_up: rounds that are not counted.
    """
    names = list(steps)
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    peak: dict[str, int | None] = dict.fromkeys(names)
    cuda = device.type == 'cuda'
    for index in range(-warm_up, rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            if cuda:
                torch.cuda.synchronize(device)
                torch.cuda.reset_peak_memory_stats(device)
            cpu_start, start = time.process_time(), time.perf_counter()
            steps[name]()
            if cuda:
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - start
            cpu_seconds = time.process_time() - cpu_start
            if index >= 0:
                wall[name].append(seconds)
                cpu[name].append(cpu_seconds)
                if cuda:
                    peak[name] = torch.cuda.max_memory_allocated(device)
    return {
        name: StepCost(
            wall[name],
            cpu[name],
            kept_bytes(steps[name], parameters),
            peak[name],
        )
        for name in names
    }


def kept_bytes(step: Step, parameters: list[nn.Parameter]) -> int:
    """Return the storage that autograd keeps in one step, in bytes."""
    known = {p.untyped_storage().data_ptr() for p in parameters}
    kept: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        step()
    return sum(kept.values())
