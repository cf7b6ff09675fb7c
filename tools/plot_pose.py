"""Draw puzzles, poses of several networks, or heat maps of a cohort.

    python tools/plot_pose.py puzzles CONFIG CHECKPOINT
    python tools/plot_pose.py heatmaps CONFIG CHECKPOINT
    python tools/plot_pose.py poses CONFIG --network A CONFIG CHECKPOINT \\
        --network B CONFIG CHECKPOINT

Puzzles: the shuffled crop with true patches (white) and found ones (green,
red), the heat maps, the crop put together again, the crop as it was. The
pictures are those of the validation data of CONFIG; --no-photo draws on a
blank in their place, e.g. for data that may not be passed on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.results.heatmap_pictures import picture_heatmaps  # noqa: E402
from mmkd.results.pose_pictures import (  # noqa: E402
    picture_poses,
    picture_puzzles,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    for name, what in (
        ('puzzles', 'of one pretraining run'),
        ('heatmaps', 'of all peers of a cohort'),
    ):
        single = tasks.add_parser(name, help=what)
        single.add_argument('config')
        single.add_argument('checkpoint')
    poses = tasks.add_parser('poses', help='of several networks')
    poses.add_argument('config', help='whose validation data are drawn')
    poses.add_argument(
        '--network',
        nargs=3,
        action='append',
        required=True,
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
    )
    for name, each in tasks.choices.items():
        each.add_argument('--count', type=int, default=4, help='of people')
        each.add_argument('--start', type=int, default=0, help='first one')
        each.add_argument(
            '--no-photo', action='store_true', help='draw on a blank'
        )
        each.add_argument('--out', default=f'{name}.png', help='PNG file')
        each.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        people = dict(
            start=args.start, count=args.count, photo=not args.no_photo
        )
        draw = dict(puzzles=picture_puzzles, heatmaps=picture_heatmaps)
        if args.task in draw:
            draw[args.task](args.config, args.checkpoint, args.out, **people)
        else:
            picture_poses(args.config, args.network, args.out, **people)
    print(args.out)


if __name__ == '__main__':
    main()
