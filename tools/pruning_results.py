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
import json
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tools'))
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from results_table import cell, write_between_markers  # noqa: E402

from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.pruning.measure import (  # noqa: E402
    SUFFIX,
    measure_pruned,
    read_measurements,
)


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


def measure(args: argparse.Namespace) -> None:
    logs = [
        path
        for path in sorted(args.logs.glob('*/seed*.jsonl'))
        if not path.with_name(path.stem + SUFFIX).exists()
    ]
    if not logs and not list(args.logs.glob(f'*/seed*{SUFFIX}')):
        raise FileNotFoundError(
            f'"{args.logs}" has no */seed*.jsonl: give the --out folder of '
            'tools/run_seeds.py'
        )
    for path in logs:
        facts = json.loads(path.read_text().splitlines()[-1])
        run = args.work_dir / path.parent.name / path.stem
        checkpoint = (run / 'last_checkpoint').read_text().strip()
        result = measure_pruned(
            read_config(facts['config']),
            checkpoint,
            run / 'compact',
            rounds=args.rounds,
            batch_size=args.batch_size,
        )
        for key in ('config', 'seed', 'minutes', 'hardware'):
            result[key] = facts.get(key)
        target = path.with_name(path.stem + SUFFIX)
        target.write_text(json.dumps(rounded(result)) + '\n')
        print(target)


def rounded(value: Any) -> Any:
    """Return ``value`` with floats of six digits."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return float(f'{value:.6g}') if isinstance(value, float) else value


def saved(run: dict[str, Any], images: str) -> float:
    """Return the share of time that the compact network saves, in %."""
    times = run['cpu_ms'][images]
    return 100 * (1 - times['compact'] / times['masked'])


def column(
    runs: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]
) -> str:
    """Return mean and spread; '' without a compact network."""
    if not all('compact' in run for run in runs):
        return ''
    return cell([value(run) for run in runs])


def make_table(logs: Path, metric: str) -> str:
    """Return the table and a note below."""
    measured = read_measurements(logs)
    sizes = {
        size
        for runs in measured.values()
        for run in runs
        for size in run.get('cpu_ms', ())
    }
    images = sorted(sizes, key=int)
    head = ['config', 'seeds', f'{metric}, masked', 'compact', 'zero weights']
    head += ['parameters saved', 'FLOPs saved', 'papers count']
    head += [f'time saved, {n} image{"s"[: int(n) > 1]}' for n in images]
    rows = [head, ['---'] * len(head)]
    for name in sorted(measured, key=_order):
        runs = measured[name]
        row = [f'`{name}`', str(len(runs))]
        row += [cell([run['masked'][metric] for run in runs])]
        row += [column(runs, lambda run: run['compact'][metric])]
        share = statistics.mean(run['zero_weights'] for run in runs)
        row.append(f'{share:.1%}')
        for after, before in (
            ('compact_parameters', 'parameters'),
            ('compact_flops', 'flops'),
        ):
            row.append(
                column(
                    runs,
                    lambda run, a=after, b=before: 100 * (1 - run[a] / run[b]),
                )
            )
        row.append(column(runs, lambda run: 100 * run['analytic_saving']))
        row += [column(runs, lambda run, n=n: saved(run, n)) for n in images]
        rows.append(row)
    lines = '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)
    every = [run for runs in measured.values() for run in runs]
    errors = [run['max_error'] for run in every if 'max_error' in run]
    worst = f'{max(errors):.1e}' if errors else 'nothing'
    hardware = sorted({str(run['hardware']) for run in every})
    return (
        f'{lines}\n\nLast checkpoint, mean ± sample standard deviation over '
        'seeds; savings in % of the masked network, which costs what the '
        'unpruned one does. Outputs of masked and compact network differ by '
        f'at most {worst} of their largest value. CPU time of one thread. '
        f'Hardware: {"; ".join(hardware)}. Logs: `{logs.as_posix()}`.'
    )


def _order(name: str) -> tuple[bool, str, int]:
    """Baselines first, then by method and rate."""
    rate = re.search(r'_p(\d+)_', name)
    method = name[: rate.start()] if rate else name
    return 'baseline' not in name, method, int(rate[1]) if rate else 0


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        if args.task == 'measure':
            measure(args)
            return
        table = make_table(args.logs, args.metric)
        if args.readme is None:
            print(table)
        else:
            write_between_markers(args.readme, args.logs.name, table)


if __name__ == '__main__':
    main()
