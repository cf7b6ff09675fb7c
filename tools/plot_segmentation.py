"""Draw IoU per class, and segmentations of several networks side by side.

    python tools/plot_segmentation.py CONFIG --images 0 40 80 \\
        --network teacher CONFIG CHECKPOINT \\
        --network baseline CONFIG CHECKPOINT \\
        --network distilled CONFIG CHECKPOINT

OUT gets iou_per_class.csv (a line per network, with the mean IoU in both
conventions), iou_per_class.png (bars) and strips.png (image, label, what
each network finds), of the test data of CONFIG.
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
from mmkd.results.segmentation_pictures import (  # noqa: E402
    picture_segmentations,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='whose data are used')
    parser.add_argument(
        '--network',
        nargs=3,
        action='append',
        required=True,
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
    )
    parser.add_argument('--split', choices=('val', 'test'))
    parser.add_argument(
        '--images', nargs='+', type=int, default=[0], help='to draw, from 0'
    )
    parser.add_argument('--limit', type=int, help='evaluate the first ones')
    parser.add_argument('--out', default='segmentation', help='folder')
    parser.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pictures."""
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        files = picture_segmentations(
            args.config,
            args.network,
            args.out,
            split=args.split,
            images=args.images,
            limit=args.limit,
        )
    print('\n'.join(map(str, files)))


if __name__ == '__main__':
    main()
