"""Compare a distillation step with the same work called by hand.

    python -m benchmarks.step CONFIG [--steps N] [--json FILE]

Three kinds of step run in turns in this process, on one batch: the student
(or first peer) alone, the distiller's, and the same networks and losses
called by hand. On a CPU the ratio is that of process CPU time, which other
programs disturb little; on a GPU that of wall-clock time between
synchronisations.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.device import get_device  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.cases.distillers import (  # noqa: E402
    build_distiller,
    load_batch,
    tell_classes,
    train_alone,
    unpad,
)
from benchmarks.cases.steps_by_hand import offline_step, online_step  # noqa: E402
from benchmarks.measure.steps import (  # noqa: E402
    measure,
    ratio,
    train_step,
)
from mmkd.cli.arguments import (  # noqa: E402
    add_config_arguments,
    add_input_shape,
)
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.models.distillers import OfflineDistiller  # noqa: E402
from mmkd.models.distillers.phases import MAIN  # noqa: E402

MIB = 2**20


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Cost of a training step.')
    add_config_arguments(parser)
    parser.add_argument('--steps', type=int, default=10)
    add_input_shape(
        parser, 'synthetic scenes of this size instead of the training data'
    )
    parser.add_argument(
        '--batch-size', type=int, help='default: that of train_dataloader'
    )
    parser.add_argument(
        '--json',
        nargs='?',
        const='-',
        metavar='FILE',
        help='write the results as JSON too; without FILE to the screen',
    )
    return parser.parse_args(argv)


def benchmark(config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the three steps and look at what a teacher leaves behind."""
    init_default_scope(config.get('default_scope', 'mmengine'))
    torch.manual_seed(0)
    device = torch.device(get_device())
    distiller: Any = build_distiller(config).to(device).train()
    offline = isinstance(distiller, OfflineDistiller)
    network = distiller.student if offline else distiller.cohort[0]
    if args.input_shape is not None:
        unpad([distiller, network], args.input_shape[1:])
    batch = load_batch(config, args.batch_size, args.input_shape)
    tell_classes(distiller, batch)
    models = dict(
        alone=train_alone(network),
        distiller=distiller,
        hand=copy.deepcopy(distiller),
    )
    configs = dict.fromkeys(models, config.optim_wrapper)
    configs['alone'] = config.optim_wrapper.get(MAIN, config.optim_wrapper)
    optimizers = {
        name: build_optim_wrapper(model, copy.deepcopy(configs[name]))
        for name, model in models.items()
    }
    make = dict(
        alone=train_step,
        distiller=train_step,
        hand=offline_step if offline else online_step,
    )
    steps = {
        name: make[name](model, optimizers[name], batch)
        for name, model in models.items()
    }
    teachers = distiller.teachers if offline else []
    frozen = [p for t in teachers for p in t.parameters()]
    trained = [p for model in models.values() for p in model.parameters()]
    costs = measure(steps, args.steps, [*frozen, *trained], device)
    measured = 'wall' if device.type == 'cuda' else 'cpu'
    result = dict(
        steps=args.steps,
        batch=len(batch['inputs']),
        input_shape=list(batch['inputs'][0].shape),
        device=torch.cuda.get_device_name()
        if device.type == 'cuda'
        else platform.machine() + ' CPU',
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        costs={name: asdict(cost) for name, cost in costs.items()},
        ratio_clock=measured,
        ratio=ratio(
            *(getattr(costs[name], measured) for name in ('distiller', 'hand'))
        ),
    )
    if offline:
        result['teacher'] = traces(frozen, distiller, optimizers['distiller'])
    else:
        result['peers'] = len(distiller.cohort)
    return result


def traces(
    frozen: Sequence[nn.Parameter], distiller: nn.Module, optimizer: Any
) -> dict[str, int]:
    """Count what teachers leave in gradients, optimizer and checkpoint."""
    optimized = {id(p) for g in optimizer.param_groups for p in g['params']}
    stored = {value.data_ptr() for value in distiller.state_dict().values()}
    return dict(
        weights_bytes=sum(p.nbytes for p in frozen),
        gradients=sum(p.grad is not None for p in frozen),
        in_optimizer=sum(id(p) in optimized for p in frozen),
        in_checkpoint=sum(p.data_ptr() in stored for p in frozen),
    )


def describe(result: dict[str, Any]) -> str:
    shape = 'x'.join(map(str, result['input_shape']))
    lines = [
        f'{result["batch"]} images {shape}, {result["device"]}, '
        f'{result["threads"]} thread(s), torch {result["torch"]}, '
        f'{result["steps"]} steps of each kind in turns',
        '',
        '| step | wall min | wall median | CPU min | CPU median '
        '| kept for backward | GPU peak |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for name, cost in result['costs'].items():
        peak = cost['peak_bytes']
        lines.append(
            f'| {name} | {min(cost["wall"]):.4f} s '
            f'| {median(cost["wall"]):.4f} s | {min(cost["cpu"]):.4f} s '
            f'| {median(cost["cpu"]):.4f} s '
            f'| {cost["kept_bytes"] / MIB:.1f} MiB '
            f'| {"-" if peak is None else f"{peak / MIB:.1f} MiB"} |'
        )
    lines += [
        '',
        f'distiller / by hand ({result["ratio_clock"]} time): '
        f'{result["ratio"]["min"]:.3f} of the minima, '
        f'{result["ratio"]["paired"]:.3f} median of the rounds',
    ]
    if 'teacher' in result:
        teacher = result['teacher']
        lines.append(
            f'teacher: {teacher["weights_bytes"] / MIB:.1f} MiB of weights, '
            f'{teacher["gradients"]} gradients, {teacher["in_optimizer"]} '
            f'tensors in the optimizer, {teacher["in_checkpoint"]} in the '
            'checkpoint'
        )
    else:
        lines.append(f'{result["peers"]} peers')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = read_config(args.config, args.cfg_options)
        result = benchmark(config, args)
    text = json.dumps(result, indent=2)
    print(text if args.json == '-' else describe(result))
    if args.json not in (None, '-'):
        Path(args.json).write_text(text + '\n')
    return result


if __name__ == '__main__':
    main()
