"""Work with AnchorNet's cascade: join, judge, search thresholds, time.

    python tools/patch_cascade.py assemble CONFIG OUT.pth
    python tools/patch_cascade.py table CONFIG CHECKPOINT OUT.npz --split test
    python tools/patch_cascade.py curve TABLE.npz [--thresholds T T ...]
    python tools/patch_cascade.py search HELD_OUT.npz --budget G \\
        [--report TABLE.npz]
    python tools/patch_cascade.py latency CONFIG CHECKPOINT [--dense CONFIG]

CONFIG is that of a mmkd.DynamicPatchClassifier; a table holds confidence and
success of every image at every stage. Costs are 10^9 multiply-adds of an
image; --macs FIRST PATCH PROPOSAL replaces those of the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.arguments import add_config_arguments  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.evaluation.features import SPLITS  # noqa: E402
from mmkd.results.cascade_lines import (  # noqa: E402
    assemble_lines,
    curve_lines,
    latency_lines,
    search_lines,
    table_lines,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    join = tasks.add_parser('assemble', help='one file of three networks')
    table = tasks.add_parser('table', help='what every stage says')
    times = tasks.add_parser('latency', help='times beside multiply-adds')
    for each in (join, table, times):
        add_config_arguments(each)
    for each in (table, times):
        each.add_argument('checkpoint')
        each.add_argument('--device', default='cpu')
        each.add_argument('--split', choices=SPLITS, default='test')
    for each in (join, table):
        each.add_argument('out')
    times.add_argument('--dense', help='config of a dense classifier')
    times.add_argument('--batch-size', type=int, default=64)
    times.add_argument('--rounds', type=int, default=5)
    curve = tasks.add_parser('curve', help='cost and accuracy of a table')
    search = tasks.add_parser('search', help='thresholds for a budget')
    for each in (curve, search):
        each.add_argument('table')
        each.add_argument('--macs', nargs=3, type=float)
        each.add_argument('--traceback', action='store_true')
    curve.add_argument(
        '--thresholds',
        nargs='+',
        type=float,
        action='append',
        help='of the stages; default: all fixed exits',
    )
    curve.add_argument('--out', help='draw the curve into this PNG file')
    curve.add_argument('--json', help='write all numbers into this file')
    search.add_argument('--budget', type=float, required=True)
    search.add_argument('--report', help='table of another split')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        if args.task == 'curve':
            lines = curve_lines(
                args.table, args.macs, args.thresholds, args.out, args.json
            )
        elif args.task == 'search':
            lines = search_lines(
                args.table, args.macs, args.budget, args.report
            )
        else:
            config = read_config(args.config, args.cfg_options)
            if args.task == 'assemble':
                lines = assemble_lines(config, args.out)
            elif args.task == 'table':
                lines = table_lines(
                    config, args.checkpoint, args.out, args.split, args.device
                )
            else:
                lines = latency_lines(
                    config,
                    args.checkpoint,
                    args.dense,
                    args.split,
                    args.device,
                    args.batch_size,
                    args.rounds,
                )
        for line in lines:
            print(line)


if __name__ == '__main__':
    main()
