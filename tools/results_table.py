"""Make a results table from the logs that tools/run_seeds.py keeps.

Mean and sample standard deviation over seeds, of the last checkpoint and of
the one that was best on the validation set. With --readme the table goes
between the markers <!-- results:NAME --> and <!-- /results:NAME -->, NAME
being the name of the log folder.

    python tools/results_table.py docs/results/cirkd_camvid_cpu \
        --readme configs/cirkd/README.md
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
from mmkd.results.table import (  # noqa: E402
    make_table,
    write_between_markers,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('logs', type=Path)
    parser.add_argument('--metric', default='mIoU')
    parser.add_argument('--baseline', help='config name that gains refer to')
    parser.add_argument('--order', nargs='*', help='config names, in order')
    parser.add_argument(
        '--no-val', action='store_true', help='validation data = test data'
    )
    parser.add_argument(
        '--also',
        nargs='*',
        default=[],
        metavar='METRIC',
        help='further columns: the last validation value of these metrics',
    )
    parser.add_argument(
        '--percent',
        action='store_true',
        help='the metrics are shares from 0 to 1: show them in %%',
    )
    parser.add_argument('--readme', type=Path)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, or write it into a README."""
    args = parse_args(argv)
    with one_line_errors():
        table = make_table(
            args.logs,
            args.metric,
            baseline=args.baseline,
            order=args.order,
            validated=not args.no_val,
            also=args.also,
            percent=args.percent,
        )
        if args.readme is None:
            print(table)
        else:
            write_between_markers(args.readme, args.logs.name, table)


if __name__ == '__main__':
    main()
