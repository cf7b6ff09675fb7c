"""Cost of a training step by the number of peers.

    python -m benchmarks.cohort CONFIG [--peers 2 3 4 6] [--steps N]

The first peer alone and cohorts of copies of it, with and without the
config's exchange, run in turns in this process on one batch; so do the losses
of the exchange alone, forward and backward, on recorded tensors. Times are
the fastest of all steps, of CPU time on a CPU and else of wall-clock time.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.device import get_device  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from benchmarks.cases.distillers import (  # noqa: E402
    build_distiller,
    load_batch,
    resized_cohort,
    tell_classes,
    train_alone,
    unpad,
)
from benchmarks.cases.steps_by_hand import exchange_step  # noqa: E402
from benchmarks.measure.program import run  # noqa: E402
from benchmarks.measure.steps import (  # noqa: E402
    Step,
    measure,
    train_step,
)
from mmkd.cli.arguments import (  # noqa: E402
    add_config_arguments,
    add_input_shape,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Cost of a step by the number of peers.'
    )
    add_config_arguments(parser)
    parser.add_argument('--peers', nargs='+', type=int, default=[2, 3, 4, 6])
    parser.add_argument('--steps', type=int, default=10)
    add_input_shape(
        parser, 'synthetic scenes of this size instead of the training data'
    )
    parser.add_argument(
        '--batch-size', type=int, help='default: that of train_dataloader'
    )
    parser.add_argument('--json', metavar='FILE', help='write results there')
    return parser.parse_args(argv)


def benchmark(config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """Measure all steps; returns seconds by kind and number of peers."""
    if 'cohort' not in config.model or not config.model.get('exchange'):
        raise ValueError(
            'benchmark: the config has no cohort with an exchange; give that '
            'of an mmkd.OnlineDistiller'
        )
    init_default_scope(config.get('default_scope', 'mmengine'))
    device = torch.device(get_device())
    batch = load_batch(config, args.batch_size, args.input_shape)
    models: dict[tuple[str, int], Any] = {}
    for count in args.peers:
        for kind in ('exchange', 'none'):
            torch.manual_seed(0)
            distiller: Any = build_distiller(
                resized_cohort(config, count, exchange=kind == 'exchange')
            )
            if args.input_shape is not None:
                unpad(
                    [distiller, *distiller.cohort.peers], args.input_shape[1:]
                )
            models[kind, count] = distiller.to(device).train()
            tell_classes(distiller, batch)
    models['none', 1] = train_alone(distiller.cohort[0])
    steps: dict[tuple[str, int], Step] = {}
    for (kind, count), model in models.items():
        optimizer = build_optim_wrapper(
            model, copy.deepcopy(config.optim_wrapper)
        )
        steps[kind, count] = train_step(model, optimizer, batch)
        if kind == 'exchange':
            steps['losses', count] = exchange_step(model, batch)
    costs = measure(
        {f'{kind} {count}': step for (kind, count), step in steps.items()},
        args.steps,
        [p for model in models.values() for p in model.parameters()],
        device,
    )
    clock = 'wall' if device.type == 'cuda' else 'cpu'
    seconds: dict[str, dict[int, float]] = {}
    for kind, count in sorted(steps):
        cost = getattr(costs[f'{kind} {count}'], clock)
        seconds.setdefault(kind, {})[count] = min(cost)
    return dict(
        batch=len(batch['inputs']),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        steps=args.steps,
        clock=clock,
        seconds=seconds,
    )


def straight_line(seconds: dict[int, float]) -> tuple[float, float, float]:
    """Fit a + b M; returns a, b and the largest relative deviation."""
    counts = np.array(list(seconds))
    values = np.array(list(seconds.values()))
    slope, start = np.polyfit(counts, values, 1)
    error = np.abs(start + slope * counts - values) / values
    return float(start), float(slope), float(error.max())


def describe(result: dict[str, Any]) -> str:
    none, full, losses = (
        result['seconds'][kind] for kind in ('none', 'exchange', 'losses')
    )
    rest = {count: full[count] - losses[count] for count in full}
    lines = [
        f'{result["batch"]} images, {result["threads"]} thread(s), torch '
        f'{result["torch"]}, fastest of {result["steps"]} steps of each '
        f'kind in turns, ms of {result["clock"]} time',
        '',
        '| peers | no exchange | to one network | with exchange | its losses '
        '| without them | to one network |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for count, cost in sorted(none.items()):
        line = f'| {count} | {1e3 * cost:.1f} | {cost / none[1]:.2f} '
        if count in full:
            line += (
                f'| {1e3 * full[count]:.1f} | {1e3 * losses[count]:.1f} '
                f'| {1e3 * rest[count]:.1f} | {rest[count] / none[1]:.2f} |'
            )
        else:
            line += '| - | - | - | - |'
        lines.append(line)
    lines.append('')
    fitted = {'no exchange': none, 'with exchange, without its losses': rest}
    for name, seconds in fitted.items():
        if len(seconds) < 2:
            continue
        start, slope, error = straight_line(seconds)
        lines.append(
            f'{name}: {1e3 * start:.1f} ms + M * {1e3 * slope:.1f} ms, off '
            f'by at most {100 * error:.1f} %'
        )
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    return run(parse_args(argv), benchmark, describe)


if __name__ == '__main__':
    main()
