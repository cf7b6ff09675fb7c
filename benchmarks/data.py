"""Compare mmkd's data path of CIFAR-100 with mmpretrain's.

    python -m benchmarks.data [--data-root DIR] [--json FILE]

Both make normalised training batches with random crops and flips: stock
loads and transforms image by image, mmkd whole batches. "stock_stacked" is
stock with default_collate, which normalises whole batches. They run in turns
in this process with one thread; the ratio is that of CPU time per image.
Without --data-root the images are noise, which costs the same.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from benchmarks.measure.data import (  # noqa: E402
    measure,
    ratios,
    write_noise_archive,
)
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

CONFIG = 'configs/_base_/datasets/cifar100.py'
STOCK_PIPELINE = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Cost of loading data.')
    parser.add_argument('--data-root', help='folder of cifar-100-python')
    parser.add_argument(
        '--images', type=int, default=50000, help='number of noise images'
    )
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--batches', type=int, default=10, help='per round')
    parser.add_argument('--json', metavar='FILE', help='write the results')
    parser.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def batches_of(loader: Any, preprocessor: Any) -> Callable[[], Iterator[int]]:
    """Return what starts an endless iterator over prepared batches."""

    def run() -> Iterator[int]:
        while True:
            for data in loader:
                yield len(preprocessor(data, True)['inputs'])

    return run


def build_paths(
    data_root: str, batch_size: int
) -> dict[str, Callable[[], Iterator[int]]]:
    from mmpretrain.datasets import CIFAR100

    class UncheckedCIFAR100(CIFAR100):  # the stock class, any files
        train_list = [['train', None]]
        test_list = [['test', None]]

    config = Config.fromfile(ROOT / CONFIG)
    ours = config.train_dataloader
    ours.batch_size = batch_size
    ours.drop_last = True
    ours.dataset.data_root = data_root
    stock = dict(
        **{key: ours[key] for key in ('batch_size', 'num_workers', 'sampler')},
        persistent_workers=False,
        drop_last=True,
        collate_fn=dict(type='pseudo_collate'),
        dataset=UncheckedCIFAR100(
            data_root=data_root, download=False, pipeline=STOCK_PIPELINE
        ),
    )
    normalize = dict(
        type='ClsDataPreprocessor',
        mean=config.data_preprocessor.mean,
        std=config.data_preprocessor.std,
    )
    stacked = {**stock, 'collate_fn': dict(type='default_collate')}
    pairs = dict(
        stock=(stock, normalize),
        stock_stacked=(stacked, normalize),
        mmkd=(ours, config.data_preprocessor),
    )
    return {
        name: batches_of(
            Runner.build_dataloader(loader, seed=0),
            MODELS.build(preprocessor),
        )
        for name, (loader, preprocessor) in pairs.items()
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    init_default_scope('mmpretrain')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if args.data_root is None:
            write_noise_archive(Path(folder), args.images)
        root = args.data_root or folder
        if not (Path(root) / 'cifar-100-python' / 'train').is_file():
            raise FileNotFoundError(
                f'--data-root {root}: no cifar-100-python/train in it; make '
                'it with tools/dataset_converters/cifar100.py, or leave out '
                '--data-root for noise'
            )
        paths = build_paths(root, args.batch_size)
        times = measure(paths, args.rounds, args.batches)
    return dict(
        batch_size=args.batch_size,
        rounds=args.rounds,
        batches_per_round=args.batches,
        images_per_second={
            name: round(path.images_per_second) for name, path in times.items()
        },
        ratio_to={
            name: ratios(times[name], times['mmkd'])
            for name in times
            if name != 'mmkd'
        },
        torch=torch.__version__,
        python=platform.python_version(),
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        result = run(args)
    for name, value in result['images_per_second'].items():
        print(f'{name}: {value} images per second and core')
    for name, ratio in result['ratio_to'].items():
        fastest, rounds = ratio['fastest'], ratio['rounds']
        print(f'mmkd / {name}: {fastest:.2f} (fastest), {rounds:.2f} (rounds)')
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
