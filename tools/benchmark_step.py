"""Compare a distillation step with the same work called by hand.

    python tools/benchmark_step.py CONFIG [--steps N] [--json FILE]

Three kinds of step run in turns in this process, on one batch: the student
alone, the distiller's, and the same networks and losses called by hand. On a
CPU the ratio is that of process CPU time, which other programs disturb
little; on a GPU that of wall-clock time between synchronisations.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
import tempfile
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
from mmengine.runner import Runner  # noqa: E402

from mmkd.models.distillers import OfflineDistiller  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.testing import step_benchmark, toy_batch  # noqa: E402
from mmkd.utils.errors import one_line_errors  # noqa: E402
from mmkd.utils.export import deployed_network, save_plain  # noqa: E402
from mmkd.utils.setup import (  # noqa: E402
    add_config_arguments,
    apply_options,
    read_config,
)

TASKS = dict(
    mmpretrain='classification',
    mmseg='segmentation',
    mmpose='pose',
    mmdet='detection',
)
MIB = 2**20


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Cost of a training step.')
    add_config_arguments(parser)
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument(
        '--input-shape',
        nargs=3,
        type=int,
        metavar=('C', 'H', 'W'),
        help='synthetic scenes of this size instead of the training data',
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


def build_distiller(config: Config) -> OfflineDistiller:
    """Build the config's distiller.

    Teachers whose checkpoint does not exist get random weights, which cost
    the same.
    """
    model = copy.deepcopy(config.model)
    if 'student' not in model:
        raise ValueError(
            'benchmark: the config trains a plain network; give that of a '
            'distiller (model.student)'
        )
    if config.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', config.data_preprocessor)
    teachers = model.get('teacher') or []
    with tempfile.TemporaryDirectory() as folder:
        for index, teacher in enumerate(
            teachers if isinstance(teachers, list) else [teachers]
        ):
            if Path(teacher.checkpoint).is_file():
                continue
            print(f'{teacher.checkpoint} does not exist: random teacher')
            spec = teacher.config
            if isinstance(spec, str):
                spec = dict(
                    config=spec, cfg_options=teacher.get('cfg_options')
                )
            path = Path(folder) / f'{index}.pth'
            save_plain(build_network(spec), path)
            teacher.checkpoint = str(path)
        return MODELS.build(model)


def load_batch(config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """Return one batch as the data loader gives it."""
    size = args.batch_size or config.train_dataloader.batch_size
    if args.input_shape is None:
        loader = copy.deepcopy(config.train_dataloader)
        loader.batch_size = size
        loader.num_workers = 0
        loader.pop('persistent_workers', None)
        return next(iter(Runner.build_dataloader(loader, seed=0)))
    scope = deployed_network(config)['_scope_']
    if scope not in TASKS:
        raise ValueError(
            f'--input-shape: there are no synthetic scenes for {scope}'
        )
    return toy_batch(TASKS[scope], size, size=tuple(args.input_shape[1:]))


def unpad(distiller: OfflineDistiller, size: Sequence[int]) -> None:
    """Stop data preprocessors from padding to the size of the config."""
    for network in (distiller, distiller.student):
        preprocessor = network.data_preprocessor
        if getattr(preprocessor, 'size', None) is not None:
            preprocessor.size = tuple(size)


def benchmark(config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the three steps and look at what the teacher leaves behind."""
    init_default_scope(config.get('default_scope', 'mmengine'))
    torch.manual_seed(0)
    device = torch.device(get_device())
    distiller = build_distiller(config).to(device).train()
    if args.input_shape is not None:
        unpad(distiller, args.input_shape[1:])
    by_hand = copy.deepcopy(distiller)
    student = copy.deepcopy(distiller.student)
    batch = load_batch(config, args)
    models = dict(student=student, distiller=distiller, hand=by_hand)
    optimizers = {
        name: build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
        for name, model in models.items()
    }
    steps = {
        name: getattr(step_benchmark, f'{name}_step')(
            model, optimizers[name], batch
        )
        for name, model in models.items()
    }
    frozen = [p for t in distiller.teachers for p in t.parameters()]
    trained = [p for model in models.values() for p in model.parameters()]
    costs = step_benchmark.measure(
        steps, args.steps, [*frozen, *trained], device
    )
    measured = 'wall' if device.type == 'cuda' else 'cpu'
    ratio = step_benchmark.ratio(
        *(getattr(costs[name], measured) for name in ('distiller', 'hand'))
    )
    optimized = {
        id(p)
        for group in optimizers['distiller'].param_groups
        for p in group['params']
    }
    stored = {value.data_ptr() for value in distiller.state_dict().values()}
    return dict(
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
        ratio=ratio,
        teacher=dict(
            weights_bytes=sum(p.nbytes for p in frozen),
            gradients=sum(p.grad is not None for p in frozen),
            in_optimizer=sum(id(p) in optimized for p in frozen),
            in_checkpoint=sum(p.data_ptr() in stored for p in frozen),
        ),
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
    teacher = result['teacher']
    lines += [
        '',
        f'distiller / by hand ({result["ratio_clock"]} time): '
        f'{result["ratio"]["min"]:.3f} of the minima, '
        f'{result["ratio"]["paired"]:.3f} median of the rounds',
        f'teacher: {teacher["weights_bytes"] / MIB:.1f} MiB of weights, '
        f'{teacher["gradients"]} gradients, {teacher["in_optimizer"]} '
        f'tensors in the optimizer, {teacher["in_checkpoint"]} in the '
        'checkpoint',
    ]
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = read_config(args.config)
        apply_options(config, args.cfg_options)
        result = benchmark(config, args)
    text = json.dumps(result, indent=2)
    print(text if args.json == '-' else describe(result))
    if args.json not in (None, '-'):
        Path(args.json).write_text(text + '\n')
    return result


if __name__ == '__main__':
    main()
