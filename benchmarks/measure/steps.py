"""What a distillation step costs beside the same work done by hand."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import nn

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


def train_step(model: BaseModel, optimizer: OptimWrapper, batch: dict) -> Step:
    """The step that training runs: forward, loss, backward, optimizer."""
    return lambda: model.train_step(copy.copy(batch), optimizer)


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
