"""What a teacher's precision, memory format and compilation are worth.

    OMP_NUM_THREADS=1 python -m benchmarks.teacher CONFIG [--compile] [...]

The same distiller with other keys of ``teacher`` runs in turns in this
process, on one batch of random images: its teachers alone, and whole steps.
CPU time of the process on a CPU, else wall-clock time between
synchronisations; memory at its highest above the beginning.
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
from benchmarks.measure.steps import Step, measure, ratio  # noqa: E402
from mmkd.cli.arguments import add_input_shape  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402

MIB = 2**20
VARIANTS: dict[str, dict[str, Any]] = {
    'as it is': dict(dtype=None),
    'channels_last': dict(dtype=None, channels_last=True),
    'bfloat16': dict(dtype='bfloat16'),
    'bfloat16, channels_last': dict(dtype='bfloat16', channels_last=True),
}
COMPILED: dict[str, dict[str, Any]] = {
    'compile': dict(dtype=None, compile=True),
    'compile, bfloat16, channels_last': dict(
        dtype='bfloat16', channels_last=True, compile=True
    ),
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='How a teacher runs best.')
    parser.add_argument('config', help='path, or package::path')
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument(
        '--compile', action='store_true', help='torch.compile too: minutes'
    )
    add_input_shape(parser, 'of the images; default: that of the config')
    return parser.parse_args(argv)


def with_teacher(config: Config, settings: dict[str, Any]) -> Config:
    """Return ``config`` with other keys of its teacher or teachers."""
    config = copy.deepcopy(config)
    teachers = config.model.teacher
    for teacher in teachers if isinstance(teachers, list) else [teachers]:
        teacher.update(settings)
    return config


def steps_of(
    config: Config, batch: dict[str, Any], device: torch.device
) -> tuple[Step, Step, Any]:
    """Return the teachers alone, a whole step, and the distiller."""
    torch.manual_seed(0)
    distiller: Any = build_distiller(config).to(device).train()
    optimizer = build_optim_wrapper(
        distiller,
        dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3)),
    )
    with torch.no_grad():
        data = distiller.data_preprocessor(copy.copy(batch), True)

    def teachers() -> None:
        for role in distiller.roles[1 : 1 + len(distiller.teachers)]:
            role.observe(data['inputs'], data.get('data_samples'))

    def step() -> None:
        distiller.train_step(copy.copy(batch), optimizer)

    return teachers, step, distiller


def benchmark(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure all variants; returns name -> numbers."""
    config = read_config(args.config)
    init_default_scope(config.get('default_scope') or 'mmengine')
    device = torch.device(get_device())
    batch = load_batch(config, args.batch_size, args.input_shape)
    variants = {**VARIANTS, **(COMPILED if args.compile else {})}
    alone: dict[str, Step] = {}
    whole: dict[str, Step] = {}
    parameters: list[torch.nn.Parameter] = []
    for name, settings in variants.items():
        teachers, step, distiller = steps_of(
            with_teacher(config, settings), batch, device
        )
        alone[name], whole[name] = teachers, step
        parameters += list(distiller.parameters())
    kind = 'wall' if device.type == 'cuda' else 'cpu'
    found: dict[str, dict[str, float]] = {name: {} for name in variants}
    for key, steps in (('teacher', alone), ('step', whole)):
        costs = measure(steps, args.steps, parameters, device)
        first = getattr(costs['as it is'], kind)
        for name, cost in costs.items():
            times = getattr(cost, kind)
            found[name][f'{key} s'] = min(times)
            found[name][f'{key} ratio'] = ratio(times, first)['paired']
            found[name][f'{key} MiB'] = peak_bytes(steps[name], device) / MIB
    return found


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors():
        found = benchmark(args)
    print('| teacher | ' + ' | '.join(next(iter(found.values()))) + ' |')
    print('| --- ' * (1 + len(next(iter(found.values())))) + '|')
    for name, numbers in found.items():
        cells = [f'{value:.3g}' for value in numbers.values()]
        print(f'| {name} | ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main()
