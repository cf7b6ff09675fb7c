"""Results of soft pruning: accuracy and cost, masked and compact.

    python tools/run_seeds.py CONFIG ... --metric accuracy_top1 --out LOGS
    python tools/pruning_results.py measure LOGS
    python tools/pruning_results.py table LOGS --readme README.md

`measure` takes the last checkpoint of every run of LOGS, removes its zero
filters, evaluates both networks on the test data and measures both. It writes
LOGS/<config>/seed<k>_pruning.json and leaves out what is measured already.
`table` makes a table of these files, by --readme between the markers
<!-- results:NAME --> and <!-- /results:NAME -->, NAME being that of LOGS.
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
from mmkd.results.pruning_table import (  # noqa: E402
    make_table,
    measure_runs,
)
from mmkd.results.table import write_between_markers  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    measure = tasks.add_parser('measure', help='evaluate finished runs')
    measure.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/seeds'),
        help='that of tools/run_seeds.py',
    )
    measure.add_argument(
        '--rounds', type=int, default=20, help='of the time measurement'
    )
    measure.add_argument(
        '--batch-size',
        type=int,
        default=64,
        help='time is measured for one image and for this many',
    )
    table = tasks.add_parser('table', help='make a table in Markdown')
    table.add_argument('--metric', default='accuracy/top1')
    table.add_argument('--readme', type=Path)
    for each in (measure, table):
        each.add_argument('logs', type=Path)
        each.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        if args.task == 'measure':
            measure_runs(
                args.logs,
                args.work_dir,
                rounds=args.rounds,
                batch_size=args.batch_size,
            )
            return
        table = make_table(args.logs, args.metric)
        if args.readme is None:
            print(table)
        else:
            write_between_markers(args.readme, args.logs.name, table)


if __name__ == '__main__':
    main()
