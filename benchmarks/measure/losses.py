"""Cost of a loss beside a plain, formula-by-formula version of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

Loss = Callable[[torch.Tensor], torch.Tensor]
MIB = 2**20


@dataclass
class Case:
    """One row of the table: two functions of one tensor that learns.

    ``constants`` are other inputs, whose storages do not count as kept.
    """

    name: str
    sizes: str
    learner: torch.Tensor
    plain: Loss
    fused: Loss
    constants: Sequence[torch.Tensor] = ()
    min_speedup: float | None = None
    max_kept: float | None = None


@dataclass
class Result:
    """Measurements of one case; times in seconds, memory in MiB."""

    name: str
    sizes: str
    plain_seconds: float
    fused_seconds: float
    speedup: float
    plain_kept_mib: float
    fused_kept_mib: float
    kept_ratio: float
    loss_error: float
    gradient_error: float
    target_met: bool | None


def kept_bytes(case: Case, loss: Loss) -> int:
    """Bytes of the distinct storages kept for the backward pass."""
    learner = case.learner.clone().requires_grad_()
    own = {
        tensor.untyped_storage().data_ptr()
        for tensor in (learner, *case.constants)
    }
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(learner)
    del value
    return sum(storages.values())


def run_once(
    case: Case, loss: Loss
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Return seconds, loss and gradient of one forward and backward pass."""
    learner = case.learner.clone().requires_grad_()
    gpu = learner.is_cuda
    clock = time.perf_counter if gpu else time.process_time
    if gpu:
        torch.cuda.synchronize()
    start = clock()
    value = loss(learner)
    value.backward()
    if gpu:
        torch.cuda.synchronize()
    seconds = clock() - start
    if learner.grad is None:
        raise RuntimeError(f'{case.name}: no gradient reached the learner')
    return seconds, value.detach(), learner.grad


def measure(case: Case, repeats: int) -> Result:
    """Run both versions in turns; the best repetition of each counts."""
    best = dict(plain=float('inf'), fused=float('inf'))
    values, grads = {}, {}
    for _ in range(repeats):
        for key in best:
            seconds, values[key], grads[key] = run_once(
                case, getattr(case, key)
            )
            best[key] = min(best[key], seconds)
    kept = {key: kept_bytes(case, getattr(case, key)) / MIB for key in best}
    speedup = best['plain'] / best['fused']
    ratio = kept['fused'] / kept['plain']
    goals = []
    if case.min_speedup is not None:
        goals.append(speedup >= case.min_speedup)
    if case.max_kept is not None:
        goals.append(ratio <= case.max_kept)
    gradient_error = (grads['plain'] - grads['fused']).abs().max()
    return Result(
        case.name,
        case.sizes,
        best['plain'],
        best['fused'],
        speedup,
        kept['plain'],
        kept['fused'],
        ratio,
        float((values['plain'] - values['fused']).abs() / values['plain']),
        float(gradient_error / grads['plain'].abs().max()),
        all(goals) if goals else None,
    )


def table(results: Sequence[Result]) -> str:
    """Format results as a Markdown table."""
    lines = [
        '| term | sizes | plain s | fused s | speed-up | kept plain MiB '
        '| kept fused MiB | kept ratio | loss error | gradient error '
        '| target |',
        '|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    words = {None: '-', True: 'met', False: 'MISSED'}
    for r in results:
        ratio = f'{r.kept_ratio:.2f}'
        if r.kept_ratio < 0.1:
            ratio = f'1/{1 / r.kept_ratio:.0f}'
        lines.append(
            f'| {r.name} | {r.sizes} | {r.plain_seconds:.3g} '
            f'| {r.fused_seconds:.3g} | {r.speedup:.2f} '
            f'| {r.plain_kept_mib:.1f} | {r.fused_kept_mib:.1f} '
            f'| {ratio} | {r.loss_error:.1e} '
            f'| {r.gradient_error:.1e} | {words[r.target_met]} |'
        )
    return '\n'.join(lines)
