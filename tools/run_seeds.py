"""Train configs over several seeds and keep what a results table needs.

For every CONFIG and seed: train, then test the last and the best checkpoint
(best on the validation set). OUT/<config name>/seed<k>.jsonl gets the
logged scalars and one line per test; finished runs are not run again, an
interrupted one is resumed. `tools/results_table.py OUT` makes the table.

    python tools/run_seeds.py configs/cirkd/cpu_*_camvid.py --seeds 0 1 2 \
        --out docs/results/cirkd_camvid_cpu
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('configs', nargs='+', type=Path)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/seeds')
    )
    parser.add_argument(
        '--metric', default='mIoU', help='key that chose the best checkpoint'
    )
    parser.add_argument(
        '--train-args',
        default='',
        help='passed on to tools/train.py, as one quoted text',
    )
    return parser.parse_args()


def run(tool: str, *args: object) -> None:
    """Run a tool of this folder; stop if it fails."""
    command = [sys.executable, str(TOOLS / tool), *map(str, args)]
    subprocess.run(command, check=True)


def newest(folder: Path, *patterns: str) -> Path:
    """Return the newest file below ``folder`` that fits a pattern."""
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    found.sort(key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(
            f'{folder} has no file {" or ".join(patterns)}'
        )
    return found[-1]


def scalars(work_dir: Path) -> list[dict]:
    """Return the logged scalars of a run, of all its parts in order."""
    lines = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        lines += [json.loads(text) for text in path.read_text().splitlines()]
    return lines


def compact(lines: list[dict]) -> list[dict]:
    """Round values; drop what the table and the curves do not use."""
    dropped = ('memory', 'data_time')
    return [
        {
            key: float(f'{value:.5g}') if isinstance(value, float) else value
            for key, value in line.items()
            if key not in dropped
        }
        for line in lines
    ]


def run_one(config: Path, seed: int, args: argparse.Namespace) -> None:
    """Train and test one config with one seed."""
    target = args.out / config.stem / f'seed{seed}.jsonl'
    if target.exists():
        print(f'{target} exists: not run again')
        return
    work_dir = args.work_dir / config.stem / f'seed{seed}'
    start = time.time()
    extra = shlex.split(args.train_args)
    resume = ['--resume'] if (work_dir / 'last_checkpoint').exists() else []
    run(
        'train.py', config, '--work-dir', work_dir, '--seed', seed,
        *resume, *extra,
    )  # fmt: skip
    minutes = (time.time() - start) / 60
    lines = compact(scalars(work_dir))
    last = Path((work_dir / 'last_checkpoint').read_text().strip())
    kinds = ('', 'pruned_')  # the latter of SoftFilterPruningHook
    best = newest(work_dir, *(f'best_{k}{args.metric}_*.pth' for k in kinds))
    tested: dict[int, dict] = {}  # the last one may be the best one
    for name, checkpoint in (('last', last), ('best', best)):
        step = int(checkpoint.stem.rpartition('_')[2])
        if step not in tested:
            test_dir = work_dir / f'test_{name}'
            shutil.rmtree(test_dir, ignore_errors=True)
            run('test.py', config, checkpoint, '--work-dir', test_dir)
            tested[step] = json.loads(newest(test_dir, '*/*.json').read_text())
        lines += compact([dict(test=name, step=step, **tested[step])])
    lines.append(
        dict(
            config=config.as_posix(),
            seed=seed,
            minutes=round(minutes, 1),
            resumed=bool(resume),
            hardware=hardware(),
        )
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    text = '\n'.join(json.dumps(line) for line in lines)
    target.write_text(text + '\n')


def hardware() -> str:
    """Name the processor or accelerator and the version of torch."""
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    else:
        device = f'{platform.machine()} CPU, {torch.get_num_threads()} thread'
    return f'{device}, torch {torch.__version__.partition("+")[0]}'


def main() -> None:
    """Run all configs, seed by seed."""
    args = parse_args()
    for seed in args.seeds:
        for config in args.configs:
            run_one(config, seed, args)


if __name__ == '__main__':
    main()
