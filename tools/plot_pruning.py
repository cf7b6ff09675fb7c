"""Draw soft pruning: norms of filters, zero share, accuracy against FLOPs.

    python tools/plot_pruning.py norms RUN --rate 0.3 --layers conv1 layer3
    python tools/plot_pruning.py zeros [NAME=]CHECKPOINT ...
    python tools/plot_pruning.py tradeoff LOGS

RUN is the work directory of a run with mmkd.FilterNormsHook, LOGS the folder
of tools/pruning_results.py.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.arguments import add_allow_pickle  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.pruning.measure import read_measurements  # noqa: E402
from mmkd.results.pruning_curves import (  # noqa: E402
    read_filter_norms,
    read_zero_shares,
    tradeoff_points,
)
from mmkd.visualization.pruning import (  # noqa: E402
    plot_filter_norms,
    plot_tradeoff,
    plot_zero_shares,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    norms = tasks.add_parser('norms', help='norm of every filter by epoch')
    norms.add_argument('run')
    norms.add_argument(
        '--rate', type=float, default=0.0, help='that was pruned: coloured'
    )
    norms.add_argument(
        '--layers', nargs='+', help='regular expressions; default: all'
    )
    zeros = tasks.add_parser('zeros', help='zero filters of every layer')
    zeros.add_argument('checkpoints', nargs='+', metavar='[NAME=]CHECKPOINT')
    add_allow_pickle(zeros)
    trade = tasks.add_parser('tradeoff', help='accuracy against FLOPs')
    trade.add_argument('logs')
    trade.add_argument('--metric', default='accuracy/top1')
    trade.add_argument(
        '--configs',
        default='',
        metavar='PATTERN',
        help='regular expression of the names to draw; default: all',
    )
    for name, each in tasks.choices.items():
        each.add_argument('--out', default=f'{name}.png', help='PNG file')
        each.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def draw_norms(args: argparse.Namespace) -> None:
    norms = read_filter_norms(args.run)
    patterns = args.layers or ['']
    chosen = {
        name: values
        for name, values in norms.items()
        if any(re.search(pattern, name) for pattern in patterns)
    }
    if not chosen:
        raise ValueError(
            f'--layers {" ".join(patterns)} fits none of {len(norms)} '
            f'layers, e.g. {next(iter(norms))}'
        )
    plot_filter_norms(chosen, args.out, args.rate)


def draw_zeros(args: argparse.Namespace) -> None:
    shares = {}
    for text in args.checkpoints:
        name, _, path = text.rpartition('=')
        found = read_zero_shares(path, allow_pickle=args.allow_pickle)
        name = name or Path(path).stem
        shares[name] = found
        mean = sum(found.values()) / max(len(found), 1)
        print(f'{name}: {mean:.1%}, mean of {len(found)} layers')
    plot_zero_shares(shares, args.out)


def draw_tradeoff(args: argparse.Namespace) -> None:
    measured = read_measurements(args.logs)
    chosen = {
        name: runs
        for name, runs in measured.items()
        if re.search(args.configs, name)
    }
    if not chosen:
        raise ValueError(
            f'--configs {args.configs} fits none of {", ".join(measured)}'
        )
    plot_tradeoff(tradeoff_points(chosen, args.metric), args.out, args.metric)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    draw = dict(norms=draw_norms, zeros=draw_zeros, tradeoff=draw_tradeoff)
    with one_line_errors(full=args.traceback):
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        draw[args.task](args)
    print(args.out)


if __name__ == '__main__':
    main()
