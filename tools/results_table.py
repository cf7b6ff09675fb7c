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
import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

COLUMNS = (('val', 'last'), ('val', 'best'), ('test', 'last'),
           ('test', 'best'))  # fmt: skip


def parse_args() -> argparse.Namespace:
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
    return parser.parse_args()


def read_run(
    path: Path, metric: str, also: Sequence[str] = (), scale: float = 1
) -> dict:
    """Return the four numbers of one run, its steps, minutes, hardware.

    Those of ``also`` are there where the run has them. Metrics are
    multiplied by ``scale``.
    """
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for line in lines:
        for name in line.keys() & {metric, *also}:
            line[name] *= scale
    tests = {line['test']: line for line in lines if 'test' in line}
    values = [
        (line['step'], line[metric])
        for line in lines
        if metric in line and 'test' not in line
    ]
    if not values or set(tests) != {'last', 'best'}:
        raise ValueError(f'{path} is not the log of a finished run')
    epochs = max(line.get('epoch', 0) for line in lines)
    further = {
        name: line[name]
        for line in lines
        for name in also
        if name in line and 'test' not in line
    }
    return further | {
        ('val', 'last'): values[-1][1],
        ('val', 'best'): max(value for _, value in values),
        ('test', 'last'): tests['last'][metric],
        ('test', 'best'): tests['best'][metric],
        'steps': values[-1][0],
        'unit': 'epochs' if values[-1][0] == epochs else 'iterations',
        'minutes': lines[-1]['minutes'],
        'hardware': lines[-1]['hardware'],
    }


def cell(values: list[float]) -> str:
    """Return mean and spread as text."""
    mean = f'{statistics.mean(values):.2f}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.2f}'


def make_table(logs: Path, args: argparse.Namespace) -> str:
    """Return the table in Markdown."""
    percent = args.percent
    runs = {
        folder.name: [
            read_run(path, args.metric, args.also, 100 if percent else 1)
            for path in sorted(folder.glob('seed*.jsonl'))
        ]
        for folder in sorted(logs.iterdir())
        if folder.is_dir()
    }
    order = [name for name in args.order or sorted(runs) if name in runs]
    base = runs.get(args.baseline or '')
    columns = [c for c in COLUMNS if c[0] == 'test' or not args.no_val]
    unit = next(iter(runs.values()))[0]['unit']
    head = ['config', 'seeds', unit]
    sign = ' (%)' if percent else ''
    head += [f'{split} {args.metric}{sign}, {w}' for split, w in columns]
    head += [f'{name}{sign}, last' for name in args.also]
    head += (['gain (test, last)'] if base else []) + ['minutes per run']
    rows = [head, ['---'] * len(head)]
    for name in order:
        group = runs[name]
        row = [f'`{name}`', str(len(group)), str(group[0]['steps'])]
        row += [cell([run[column] for run in group]) for column in columns]
        for name in args.also:
            known = [run[name] for run in group if name in run]
            row.append(cell(known) if known else '-')
        if base:
            column = ('test', 'last')
            gain = statistics.mean(run[column] for run in group)
            gain -= statistics.mean(run[column] for run in base)
            row.append('-' if group is base else f'{gain:+.2f}')
        minutes = statistics.mean(run['minutes'] for run in group)
        rows.append([*row, f'{minutes:.0f}'])
    table = '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)
    best = 'test' if args.no_val else 'validation'
    hardware = sorted({run['hardware'] for g in runs.values() for run in g})
    return (
        f'{table}\n\nMean ± sample standard deviation over seeds. "last": '
        f'last checkpoint; "best": the checkpoint with the best {best} '
        f'value. Hardware: {"; ".join(hardware)}. Logs: `{logs.as_posix()}`.'
    )


def write_between_markers(readme: Path, name: str, table: str) -> None:
    """Put ``table`` where the README has the markers of ``name``."""
    marked = re.compile(
        rf'(<!-- results:{name} -->\n).*?(<!-- /results:{name} -->)', re.S
    )
    text = readme.read_text()
    if not marked.search(text):
        raise SystemExit(
            f'error: {readme} has no markers <!-- results:{name} --> '
            f'and <!-- /results:{name} -->'
        )
    readme.write_text(marked.sub(lambda m: f'{m[1]}{table}\n{m[2]}', text))


def main() -> None:
    """Print the table, or write it into a README."""
    args = parse_args()
    table = make_table(args.logs, args)
    if args.readme is None:
        print(table)
        return
    write_between_markers(args.readme, args.logs.name, table)


if __name__ == '__main__':
    main()
