"""A teacher, a plain student and a CIRKD student on synthetic scenes.

The three configs of configs/quickstart run one after the other; then the
networks are compared on the test split, and the distilled student is loaded
by plain mmsegmentation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn

from mmkd.checkpoints.plain_load import equal_in_plain_mmseg
from mmkd.cli.runner import build_runner
from mmkd.engine.hooks.progress_hook import (
    ProgressHook,
    RunHistory,
    duration,
    median_step,
)
from mmkd.networks import load_config
from mmkd.results.curves import smoothed
from mmkd.visualization import colour_map, plot_curves, plot_panels

STAGES = {
    'teacher': 'teacher',
    'student': 'student alone',
    'cirkd': 'student + CIRKD',
}
NUM_PICTURES = 5


@dataclass(frozen=True)
class Options:
    """What a run may be told.

    Args:
        configs: folder of the configs of the stages.
        work_dir: folder to write into.
        seed: of all stages.
        length: of training, as a share of that of the configs.
    """

    configs: Path
    work_dir: Path
    seed: int = 0
    length: float = 1.0


@dataclass
class Result:
    """One line of the table, and the history behind it."""

    title: str
    miou: float
    parameters: int
    multiply_adds: int
    step_seconds: float
    history: RunHistory


def stage_config(name: str, options: Options) -> Config:
    """The config of a stage, with this run's folder, length and seed."""
    if not options.length > 0:
        raise ValueError(f'--length {options.length} must be more than 0')
    config = load_config(str(options.configs / f'{name}.py'))
    config.work_dir = str(options.work_dir / name)
    config.randomness.seed = options.seed
    for part, key in (
        (config.train_cfg, 'max_iters'),
        (config.train_cfg, 'val_interval'),
        (config.default_hooks.checkpoint, 'interval'),
        *((scheduler, 'end') for scheduler in config.param_scheduler),
    ):
        part[key] = max(2, round(part[key] * options.length))
    if name == 'cirkd':
        config.model.teacher.checkpoint = find_latest_checkpoint(
            str(options.work_dir / 'teacher')
        )
    return config


def train(
    config: Config, title: str, label: str, console: TextIO
) -> tuple[nn.Module, Result, Runner]:
    """Train and test one network as tools/train.py and test.py do."""
    runner = build_runner(config)
    progress = ProgressHook(label, console, 'loss_ce', 'mIoU')
    runner.register_hook(progress)
    runner.train()
    miou = float(runner.test()['mIoU'])
    network = getattr(runner.model, 'deployed', runner.model).eval()
    cost = get_model_complexity_info(
        network, (3, *config.crop), show_table=False, show_arch=False
    )
    result = Result(
        title=title,
        miou=miou,
        parameters=sum(p.numel() for p in network.parameters()),
        multiply_adds=int(cost['flops']),
        step_seconds=median_step(progress.history),
        history=progress.history,
    )
    return network, result, runner


def format_table(results: Sequence[Result]) -> str:
    """The comparison as text."""
    lines = [
        f'{"":<16}  {"test mIoU":>9}  {"parameters":>10}  '
        f'{"multiply-adds":>13}  {"s per step":>10}'
    ]
    lines += [
        f'{r.title:<16}  {r.miou:>7.2f} %  {r.parameters / 1e6:>8.3f} M  '
        f'{r.multiply_adds / 1e6:>11.1f} M  {r.step_seconds:>10.3f}'
        for r in results
    ]
    return '\n'.join(lines)


def verdict(teacher: Result, alone: Result, distilled: Result) -> str:
    """What distillation did in this run, better or not."""
    gap = teacher.miou - alone.miou
    gain = distilled.miou - alone.miou
    if gap <= 0:
        return (
            'The teacher is not better than the student alone '
            f'({gap:+.2f} points), so there was little to distil; CIRKD '
            f'student: {gain:+.2f} points.'
        )
    if gain <= 0:
        return (
            'In this run the CIRKD student is NOT better than the student '
            f'alone: {gain:+.2f} points.'
        )
    return (
        f'The CIRKD student is {gain:.2f} points better than the student '
        f'alone, {gain / gap:.0%} of the gap to the teacher.'
    )


def varied_scenes(dataset: Any, count: int) -> list[int]:
    """The first scenes that each show a class not shown before."""
    chosen: list[int] = []
    shown: set[int] = set()
    for i in range(len(dataset)):
        truth = dataset[i]['data_samples'].gt_sem_seg.data
        classes = set(truth.unique().tolist())
        if classes - shown:
            chosen.append(i)
            shown |= classes
    rest = [i for i in range(len(dataset)) if i not in chosen]
    return sorted((chosen + rest)[:count])


def draw_predictions(
    networks: Mapping[str, Any], dataset: Any, path: Path
) -> None:
    """Sample scenes with the truth and every network's prediction."""
    samples = [dataset[i] for i in varied_scenes(dataset, NUM_PICTURES)]
    palette = dataset.metainfo['palette']
    columns = {
        'scene': [
            s['inputs'].flip(0).permute(1, 2, 0).numpy() for s in samples
        ],
        'truth': [
            colour_map(s['data_samples'].gt_sem_seg.data[0].numpy(), palette)
            for s in samples
        ],
    }
    for title, network in networks.items():
        with torch.no_grad():
            found = network.test_step(
                dict(
                    inputs=[s['inputs'] for s in samples],
                    data_samples=[s['data_samples'].clone() for s in samples],
                )
            )
        columns[title] = [
            colour_map(f.pred_sem_seg.data[0].cpu().numpy(), palette)
            for f in found
        ]
    classes = dataset.metainfo['classes']
    plot_panels(columns, path, legend=dict(zip(classes, palette, strict=True)))


def draw_curves(results: Sequence[Result], path: Path) -> None:
    """Validation mIoU and cross entropy in training."""
    histories = {r.title: r.history for r in results}
    plot_curves(
        {
            'validation mIoU (%)': {
                title: (h.val_iterations, h.val_metric)
                for title, h in histories.items()
            },
            'training cross entropy (mean of 30 steps)': {
                title: (h.iterations, smoothed(h.task_loss, 30))
                for title, h in histories.items()
            },
        },
        path,
    )


def write_student_config(config: Config, path: Path) -> None:
    """The network alone, for mmsegmentation."""
    Config(dict(default_scope='mmseg', model=config.model)).dump(path)


def run(options: Options, console: TextIO) -> list[Result]:
    """Train and compare the three networks; writes into the work folder."""
    folder = options.work_dir
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()

    def say(text: str) -> None:
        console.write(f'{text}\n')
        console.flush()

    say(
        'quickstart: synthetic segmentation, 8 classes, 96x96 pixels\n'
        f'3 networks on {torch.get_num_threads()} thread(s); about 5 minutes '
        f'on one free core; details: {folder / "quickstart.log"}'
    )
    networks: dict[str, nn.Module] = {}
    results: list[Result] = []
    for number, (name, title) in enumerate(STAGES.items(), start=1):
        config = stage_config(name, options)
        label = f'{number}/{len(STAGES)} {title:<15}'
        network, result, runner = train(config, title, label, console)
        networks[title] = network
        results.append(result)
        say(
            f'{label}  {config.train_cfg.max_iters} steps in '
            f'{duration(60 * result.history.minutes)}, test mIoU '
            f'{result.miou:.2f} %'
        )

    draw_predictions(
        networks, runner.test_dataloader.dataset, folder / 'predictions.png'
    )
    draw_curves(results, folder / 'curves.png')
    plain_config = folder / 'student.py'
    write_student_config(stage_config('student', options), plain_config)
    weights = folder / 'cirkd' / 'student.pth'
    same = equal_in_plain_mmseg(network, plain_config, weights)
    conclusion = verdict(*results)
    report = dict(
        seed=options.seed,
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        minutes=(time.perf_counter() - start) / 60,
        conclusion=conclusion,
        plain_mmseg_outputs_equal=same,
        networks={
            name: asdict(result)
            for name, result in zip(STAGES, results, strict=True)
        },
    )
    (folder / 'results.json').write_text(json.dumps(report, indent=1))
    say(f'\n{format_table(results)}\n\n{conclusion}')
    say('One seed, 200 test scenes: try --seed 1, 2, ... for the spread.')
    say(
        f'{weights} loads strictly in plain mmsegmentation (with '
        f'{plain_config}, without mmkd); outputs '
        + ('are equal.' if same else 'DIFFER: please report this.')
    )
    say(
        f'\nwritten to {folder}: curves.png, predictions.png, results.json '
        f'({duration(time.perf_counter() - start)} in all)'
    )
    return results
