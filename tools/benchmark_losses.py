"""Compare the fused CIRKD losses with a plain formula-by-formula version.

Both run in this process, one after the other in turns, forward and backward,
and the best repetition of each counts (process CPU time on the CPU, so that
other users of the machine disturb little; wall clock between two
synchronisations on a GPU). "Kept" is what autograd holds for the backward
pass in distinct storages, inputs of the loss not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional

from mmkd.models.losses.fused_bank_kl import bank_relation_kl
from mmkd.models.losses.minibatch_pixel_relation_loss import (
    MiniBatchPixelRelationLoss,
)
from mmkd.testing.references import cirkd

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
MIB = 2**20


@dataclass
class Case:
    """One row of the table: two functions of the same two tensors."""

    name: str
    sizes: str
    student: torch.Tensor
    teacher: torch.Tensor
    plain: Loss
    fused: Loss
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


def minibatch_case(
    images: int, height: int, width: int, device: str, **targets: float
) -> Case:
    """Mini-batch pixel relations, 128 student and 256 teacher channels."""
    loss = MiniBatchPixelRelationLoss()
    return Case(
        'mini-batch p2p',
        f'N={images}, {height}x{width}, C 128/256',
        torch.randn(images, 128, height, width, device=device),
        torch.randn(images, 256, height, width, device=device),
        cirkd.minibatch_relation,
        loss,
        **targets,
    )


def memory_case(
    images: int,
    height: int,
    width: int,
    banks: tuple[int, int],
    device: str,
    **targets: float,
) -> Case:
    """Pixel and region memory, after the projection, 256 channels."""
    queues = [
        functional.normalize(torch.randn(rows, 256, device=device), dim=1)
        for rows in banks
    ]

    def rows(maps: torch.Tensor) -> torch.Tensor:
        pixels = maps.flatten(2).transpose(1, 2).contiguous()
        return functional.normalize(pixels, dim=2).flatten(0, 1)

    def plain(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        s, t = rows(student), rows(teacher)
        terms = [cirkd.memory_relation(s, t, bank) for bank in queues]
        return 0.1 * (terms[0] + terms[1])

    def fused(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        s, t = rows(student), rows(teacher)
        weight = s.new_full((len(s),), 1 / len(s))
        terms = [bank_relation_kl(s, t, q, weight, 10.0) for q in queues]
        return 0.1 * (terms[0] + terms[1])

    return Case(
        'memory p2p + p2r',
        f'N={images}, {height}x{width}, D 256, V {banks[0]}+{banks[1]}',
        torch.randn(images, 256, height, width, device=device),
        torch.randn(images, 256, height, width, device=device),
        plain,
        fused,
        **targets,
    )


def kept_bytes(case: Case, loss: Loss) -> int:
    """Bytes of the distinct storages kept for the backward pass."""
    student = case.student.clone().requires_grad_()
    own = {
        tensor.untyped_storage().data_ptr()
        for tensor in (student, case.teacher)
    }
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(student, case.teacher)
    del value
    return sum(storages.values())


def run_once(
    case: Case, loss: Loss
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Return seconds, loss and gradient of one forward and backward pass."""
    student = case.student.clone().requires_grad_()
    gpu = student.is_cuda
    clock = time.perf_counter if gpu else time.process_time
    if gpu:
        torch.cuda.synchronize()
    start = clock()
    value = loss(student, case.teacher)
    value.backward()
    if gpu:
        torch.cuda.synchronize()
    seconds = clock() - start
    if student.grad is None:
        raise RuntimeError(f'{case.name}: no gradient reached the student')
    return seconds, value.detach(), student.grad


def measure(case: Case, repeats: int) -> Result:
    """Run both versions in turns."""
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
    met = None
    if case.min_speedup is not None and case.max_kept is not None:
        met = speedup >= case.min_speedup and ratio <= case.max_kept
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
        met,
    )


def table(results: list[Result]) -> str:
    """Format results as a Markdown table."""
    lines = [
        '| term | sizes | plain s | fused s | speed-up | kept plain MiB '
        '| kept fused MiB | kept ratio | loss error | gradient error '
        '| target |',
        '|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    words = {None: '-', True: 'met', False: 'MISSED'}
    for r in results:
        lines.append(
            f'| {r.name} | {r.sizes} | {r.plain_seconds:.3g} '
            f'| {r.fused_seconds:.3g} | {r.speedup:.2f} '
            f'| {r.plain_kept_mib:.0f} | {r.fused_kept_mib:.1f} '
            f'| 1/{1 / r.kept_ratio:.0f} | {r.loss_error:.1e} '
            f'| {r.gradient_error:.1e} | {words[r.target_met]} |'
        )
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--small', action='store_true', help='small maps only')
    parser.add_argument('--out', type=Path, help='write results as JSON')
    return parser.parse_args()


def main() -> None:
    """Measure all cases and print the table."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = args.device
    builders = [
        lambda: minibatch_case(2, 45, 45, device),
        lambda: memory_case(2, 45, 45, (4103, 1034), device),
    ]
    if not args.small:
        builders += [
            lambda: minibatch_case(
                2, 64, 128, device, min_speedup=1.5, max_kept=1 / 20
            ),
            lambda: memory_case(
                2,
                64,
                128,
                (4104, 1026),
                device,
                min_speedup=1.5,
                max_kept=1 / 10,
            ),
        ]
    results = [measure(build(), args.repeats) for build in builders]
    print(
        f'torch {torch.__version__}, {args.threads} thread(s), '
        f'{device}, {platform.machine()}, best of {args.repeats}'
    )
    print(table(results))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(result) for result in results]
        args.out.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
