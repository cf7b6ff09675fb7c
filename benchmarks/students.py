"""Cost of all students in one run, against a run of each.

    python -m benchmarks.students CONFIG [--steps N] [--json FILE]

The cohort's step, with its exchange, and the step of every peer as a network
alone run in turns in this process, on one batch. Times are the fastest of
all steps, of CPU time on a CPU and else of wall-clock time.
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

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.device import get_device  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from benchmarks.cases.distillers import (  # noqa: E402
    build_distiller,
    load_batch,
    train_alone,
    unpad,
)
from benchmarks.measure.program import run  # noqa: E402
from benchmarks.measure.steps import measure, train_step  # noqa: E402
from mmkd.cli.arguments import (  # noqa: E402
    add_config_arguments,
    add_input_shape,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Cost of all students in one run.'
    )
    add_config_arguments(parser)
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
    """Measure all steps; returns seconds by model, and the ratio."""
    if 'cohort' not in config.model:
        raise ValueError(
            'benchmark: the config has no cohort; give that of an '
            'mmkd.OnlineDistiller'
        )
    init_default_scope(config.get('default_scope', 'mmengine'))
    torch.manual_seed(0)
    device = torch.device(get_device())
    distiller: Any = build_distiller(config)
    batch = load_batch(config, args.batch_size, args.input_shape)
    if args.input_shape is not None:
        unpad([distiller, *distiller.cohort.peers], args.input_shape[1:])
    models = {'together': distiller.to(device).train()}
    for k, peer in enumerate(distiller.cohort.peers):
        models[f'peer{k} alone'] = train_alone(copy.deepcopy(peer))
    steps = {
        name: train_step(
            model,
            build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper)),
            batch,
        )
        for name, model in models.items()
    }
    trained = [p for model in models.values() for p in model.parameters()]
    costs = measure(steps, args.steps, trained, device)
    clock = 'wall' if device.type == 'cuda' else 'cpu'
    seconds = {name: min(getattr(costs[name], clock)) for name in costs}
    together = seconds['together']
    return dict(
        batch=len(batch['inputs']),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        steps=args.steps,
        clock=clock,
        seconds=seconds,
        ratio=together / (sum(seconds.values()) - together),
    )


def describe(result: dict[str, Any]) -> str:
    lines = [
        f'{result["batch"]} images, {result["threads"]} thread(s), torch '
        f'{result["torch"]}, fastest of {result["steps"]} steps of each kind '
        f'in turns, {result["clock"]} time',
        '',
        '| step | ms |',
        '| --- | --- |',
        *(
            f'| {name} | {1e3 * cost:.1f} |'
            for name, cost in result['seconds'].items()
        ),
        '',
        f'together / one after the other: {result["ratio"]:.3f}',
    ]
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    return run(parse_args(argv), benchmark, describe)


if __name__ == '__main__':
    main()
