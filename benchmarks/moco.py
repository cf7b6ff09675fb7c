"""What a step of momentum contrast costs, against the same by hand.

    OMP_NUM_THREADS=1 python -m benchmarks.moco CONFIG [CONFIG ...]

The distiller's step and the same networks and loss called by hand run in
turns in this process, on one batch of random images. CPU time of the process
on a CPU, else wall-clock time between synchronisations.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402
from mmengine.device import get_device  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from benchmarks.cases.distillers import build_distiller  # noqa: E402
from benchmarks.cases.moco_by_hand import moco_step  # noqa: E402
from benchmarks.measure.steps import (  # noqa: E402
    measure,
    ratio,
    train_step,
)
from mmkd.cli.arguments import add_input_shape  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402

MIB = 2**20


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Cost of a step of momentum contrast.'
    )
    parser.add_argument('config', nargs='+', help='path, or package::path')
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--batch-size', type=int, default=64)
    add_input_shape(parser, 'of the images; default: that of the config')
    return parser.parse_args(argv)


def benchmark(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure both steps of one config."""
    config = read_config(name)
    init_default_scope(config.default_scope)
    device = torch.device(get_device())
    torch.manual_seed(0)
    distiller: Any = build_distiller(config).to(device).train()
    models = dict(distiller=distiller, hand=copy.deepcopy(distiller))
    optimizers = {
        key: build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
        for key, model in models.items()
    }
    shape = args.input_shape or config.model.input_shape
    views = [torch.randn(args.batch_size, *shape) for _ in range(2)]
    for model in models.values():
        model.data_preprocessor = GivesViews()
    batch = dict(inputs=[view.to(device) for view in views])
    make = dict(distiller=train_step, hand=moco_step)
    steps = {
        key: make[key](model, optimizers[key], batch)
        for key, model in models.items()
    }
    queues = dict(distiller.named_buffers())
    address = {
        key: value.data_ptr()
        for key, value in queues.items()
        if key.endswith('.queue')
    }
    parameters = [p for model in models.values() for p in model.parameters()]
    costs = measure(steps, args.steps, parameters, device)
    clock = 'wall' if device.type == 'cuda' else 'cpu'
    copies = [p for f in distiller.followers_of_all() for p in f.parameters()]
    return dict(
        config=Path(name).stem,
        shape=(args.batch_size, *shape),
        costs=costs,
        ratio=ratio(*(getattr(costs[key], clock) for key in costs)),
        median={key: median(getattr(costs[key], clock)) for key in costs},
        gradients=sum(p.grad is not None for p in copies),
        in_place=all(
            dict(distiller.named_buffers())[key].data_ptr() == value
            for key, value in address.items()
        ),
    )


class GivesViews(torch.nn.Module):
    """A data preprocessor that changes nothing."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the views, without samples."""
        return dict(inputs=data['inputs'], data_samples=None)


def describe(results: Sequence[dict[str, Any]]) -> str:
    lines = [
        '| config | images | distiller | by hand | ratio (fastest) '
        '| ratio (rounds) | kept: distiller / by hand |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for found in results:
        kept = [found['costs'][k].kept_bytes / MIB for k in found['costs']]
        one, two = found['median'].values()
        shape = 'x'.join(map(str, found['shape'][1:]))
        lines.append(
            f'| `{found["config"]}` | {found["shape"][0]} x {shape} '
            f'| {one:.3f} s | {two:.3f} s | {found["ratio"]["min"]:.3f} '
            f'| {found["ratio"]["paired"]:.3f} '
            f'| {kept[0]:.1f} / {kept[1]:.1f} MiB |'
        )
    for found in results:
        lines.append(
            f'{found["config"]}: {found["gradients"]} gradients in key '
            f'encoders; queues written in place: {found["in_place"]}'
        )
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    args = parse_args(argv)
    with one_line_errors():
        results = [benchmark(name, args) for name in args.config]
    print(
        f'{torch.get_num_threads()} thread(s), torch {torch.__version__}, '
        f'medians of {args.steps} steps of each kind in turns'
    )
    print(describe(results))
    return results


if __name__ == '__main__':
    main()
