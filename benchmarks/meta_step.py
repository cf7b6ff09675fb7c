"""Cost of the meta step of L-MCL beside that of a training step.

    python -m benchmarks.meta_step CONFIG [--steps N] [--batch-size B]

Both run in turns in this process on one batch. Times are the fastest of all
repetitions, of CPU time on a CPU and else of wall-clock time. Memory is the
highest allocation above what was there before the step: activations and
gradients of the one, and of the other also the positions of its virtual steps.
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
)
from benchmarks.measure.memory import peak_bytes  # noqa: E402
from benchmarks.measure.program import run  # noqa: E402
from benchmarks.measure.steps import measure, train_step  # noqa: E402
from mmkd.cli.arguments import (  # noqa: E402
    add_config_arguments,
    add_input_shape,
)
from mmkd.registry import HOOKS  # noqa: E402

KIND = 'mmkd.MetaOptimizationHook'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Cost of the meta step beside that of a training step.'
    )
    add_config_arguments(parser)
    parser.add_argument('--steps', type=int, default=5)
    add_input_shape(
        parser, 'synthetic scenes of this size instead of the training data'
    )
    parser.add_argument(
        '--batch-size', type=int, help='default: that of train_dataloader'
    )
    parser.add_argument('--json', metavar='FILE', help='write results there')
    return parser.parse_args(argv)


def benchmark(config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """Measure both steps; returns seconds, bytes and ratios."""
    found = [h for h in config.get('custom_hooks', ()) if h['type'] == KIND]
    if not found:
        raise ValueError(
            f'benchmark: custom_hooks has no {KIND}; give a config of L-MCL'
        )
    init_default_scope(config.get('default_scope', 'mmengine'))
    device = torch.device(get_device())
    batch = load_batch(config, args.batch_size, args.input_shape)
    torch.manual_seed(0)
    model: Any = build_distiller(config).to(device).train()
    optimizer = build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
    groups = optimizer.optimizer.param_groups
    hook = HOOKS.build(dict(found[0]))
    hook.attach(model, groups[0]['lr'])
    data = model.data_preprocessor(copy.copy(batch), True)
    steps = dict(
        training=train_step(model, optimizer, batch),
        meta=lambda: hook.step(model, data, groups),
    )
    steps['training']()  # the momentum exists before memory is measured
    peaks = {name: peak_bytes(step, device) for name, step in steps.items()}
    costs = measure(steps, args.steps, list(model.parameters()), device, 1)
    clock = 'wall' if device.type == 'cuda' else 'cpu'
    seconds = {name: min(getattr(cost, clock)) for name, cost in costs.items()}
    return dict(
        config=Path(config.filename).stem,
        batch=len(batch['inputs']),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        steps=args.steps,
        clock=clock,
        interval=hook.interval,
        inner_steps=hook.num_inner_steps,
        seconds=seconds,
        peak_bytes=peaks,
        time_ratio=seconds['meta'] / seconds['training'],
        memory_ratio=peaks['meta'] / peaks['training'],
    )


def describe(result: dict[str, Any]) -> str:
    times, peaks = result['seconds'], result['peak_bytes']
    share = result['time_ratio'] / result['interval']
    return '\n'.join(
        [
            f'{result["config"]}, {result["batch"]} images, '
            f'{result["threads"]} thread(s), torch {result["torch"]}, '
            f'fastest of {result["steps"]} in turns, {result["clock"]} time',
            '',
            '| | training step | meta step | ratio |',
            '| --- | --- | --- | --- |',
            f'| ms | {1e3 * times["training"]:.0f} | {1e3 * times["meta"]:.0f}'
            f' | {result["time_ratio"]:.1f} |',
            f'| peak MiB | {peaks["training"] / 2**20:.0f} | '
            f'{peaks["meta"] / 2**20:.0f} | {result["memory_ratio"]:.2f} |',
            '',
            f'every {result["interval"]} iterations: {100 * share:.1f} % on '
            'top of the training time',
        ]
    )


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    return run(parse_args(argv), benchmark, describe)


if __name__ == '__main__':
    main()
