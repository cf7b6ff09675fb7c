"""Compare the data path of puzzles with mmpose's top-down training path.

    python -m benchmarks.pose_data [--size 384x288] [--json FILE]

"stock" is mmpose's training pipeline, "mmkd" that of HSJP, "joints" HSJP's
with joints instead of puzzles: the difference of the last two is the cost of
shuffling and targets. All run in turns in this process, sample by sample,
with one thread; times are CPU time per crop. Without --ann-file the photos
are blurred noise of 640x480 pixels.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from benchmarks.cases.pose_data import (  # noqa: E402
    SIZES,
    data_paths,
    write_people,
)
from benchmarks.measure.data import measure, ratios  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--size', choices=sorted(SIZES), default='256x192')
    parser.add_argument('--ann-file', help="people in COCO's format")
    parser.add_argument('--images', help='folder of their photos')
    parser.add_argument(
        '--metainfo', help='e.g. configs/_base_/datasets/aic.py of mmpose'
    )
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--crops', type=int, default=32, help='per round')
    parser.add_argument('--json', metavar='FILE', help='write the results')
    parser.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> dict[str, Any]:
    if (args.ann_file is None) != (args.images is None):
        raise ValueError('--ann-file and --images belong together: give both')
    init_default_scope('mmpose')
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    np.random.seed(0)
    arguments: dict[str, Any] = {}
    if args.metainfo:
        arguments['metainfo'] = dict(from_file=args.metainfo)
    with tempfile.TemporaryDirectory() as folder:
        ann_file, images = args.ann_file, args.images
        if ann_file is None:
            ann_file, images = write_people(Path(folder))
        paths = data_paths(args.size, ann_file, images, **arguments)
        times = measure(paths, args.rounds, args.crops)
    return dict(
        size=args.size,
        rounds=args.rounds,
        crops_per_round=args.crops,
        milliseconds_per_crop={
            name: round(1e3 * min(path.seconds), 3)
            for name, path in times.items()
        },
        cost_of_mmkd_over={
            name: {
                key: value - 1
                for key, value in ratios(times['mmkd'], times[name]).items()
            }
            for name in ('stock', 'joints')
        },
        torch=torch.__version__,
        python=platform.python_version(),
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        result = run(args)
    for name, value in result['milliseconds_per_crop'].items():
        print(f'{name}: {value} ms of CPU time per crop')
    for name, cost in result['cost_of_mmkd_over'].items():
        fastest, rounds = cost['fastest'], cost['rounds']
        print(f'mmkd over {name}: {fastest:+.1%} (fastest), {rounds:+.1%}')
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
