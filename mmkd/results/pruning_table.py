"""Results of soft pruning: accuracy and cost, masked and compact."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mmkd.cli.config import read_config
from mmkd.pruning.measure import (
    SUFFIX,
    measure_pruned,
    read_measurements,
)
from mmkd.results.seeds import scored_run
from mmkd.results.table import cell


def measure_runs(
    logs: Path,
    work_dir: Path,
    *,
    rounds: int = 20,
    batch_size: int = 64,
    report: Callable[[str], None] = print,
) -> None:
    """Measure the last checkpoint of every run that is not measured yet.

    Args:
        logs: of tools/run_seeds.py; gets <config>/seed<k>_pruning.json.
        work_dir: that of tools/run_seeds.py.
        rounds: see `measure_pruned`.
        batch_size: see `measure_pruned`.
        report: is told the path of every written file.

    Raises:
        FileNotFoundError: there is no run.
    """
    missing = [
        path
        for path in sorted(logs.glob('*/seed*.jsonl'))
        if not path.with_name(path.stem + SUFFIX).exists()
    ]
    if not missing and not list(logs.glob(f'*/seed*{SUFFIX}')):
        raise FileNotFoundError(
            f'"{logs}" has no */seed*.jsonl: give the --out folder of '
            'tools/run_seeds.py'
        )
    for path in missing:
        facts = json.loads(path.read_text().splitlines()[-1])
        config, run = scored_run(
            Path(facts['config']), work_dir / path.parent.name / path.stem
        )
        checkpoint = (run / 'last_checkpoint').read_text().strip()
        result = measure_pruned(
            read_config(str(config)),
            checkpoint,
            run / 'compact',
            rounds=rounds,
            batch_size=batch_size,
        )
        for key in ('config', 'seed', 'minutes', 'hardware'):
            result[key] = facts.get(key)
        target = path.with_name(path.stem + SUFFIX)
        target.write_text(json.dumps(rounded(result)) + '\n')
        report(str(target))


def rounded(value: Any) -> Any:
    """Return ``value`` with floats of six digits."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return float(f'{value:.6g}') if isinstance(value, float) else value


def saved(run: dict[str, Any], cost: str) -> float:
    """Return the share of a cost that the compact network saves, in %."""
    return 100 * (1 - run[f'compact_{cost}'] / run[cost])


def saved_time(run: dict[str, Any], images: str) -> float:
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
        for cost in ('parameters', 'flops'):
            row.append(column(runs, partial(saved, cost=cost)))
        row.append(column(runs, lambda run: 100 * run['analytic_saving']))
        row += [column(runs, partial(saved_time, images=n)) for n in images]
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
