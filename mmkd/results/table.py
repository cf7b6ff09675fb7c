"""Tables of results: mean and spread over seeds, in Markdown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from mmkd.results.runs import read_run

COLUMNS = (('val', 'last'), ('val', 'best'), ('test', 'last'),
           ('test', 'best'))  # fmt: skip


def cell(values: list[float]) -> str:
    """Return mean and spread as text."""
    mean = f'{statistics.mean(values):.2f}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.2f}'


def make_table(
    logs: Path,
    metric: str = 'mIoU',
    *,
    baseline: str | None = None,
    order: Sequence[str] | None = None,
    validated: bool = True,
    also: Sequence[str] = (),
    percent: bool = False,
) -> str:
    """Return the table in Markdown.

    Args:
        logs: of tools/run_seeds.py, a folder per config.
        metric: key of the tests and of the validations.
        baseline: config name that gains refer to.
        order: config names; default: by name.
        validated: False: the validation data are the test data.
        also: further columns: the last validation value of these metrics.
        percent: the metrics are shares from 0 to 1, shown in %.

    Raises:
        ValueError: a log is not that of a finished run.
    """
    runs = {
        folder.name: [
            read_run(path, metric, also, 100 if percent else 1)
            for path in sorted(folder.glob('seed*.jsonl'))
        ]
        for folder in sorted(logs.iterdir())
        if folder.is_dir()
    }
    order = [name for name in order or sorted(runs) if name in runs]
    base = runs.get(baseline or '')
    columns = [c for c in COLUMNS if c[0] == 'test' or validated]
    unit = next(iter(runs.values()))[0]['unit']
    head = ['config', 'seeds', unit]
    sign = ' (%)' if percent else ''
    head += [f'{split} {metric}{sign}, {w}' for split, w in columns]
    head += [f'{name}{sign}, last' for name in also]
    head += (['gain (test, last)'] if base else []) + ['minutes per run']
    rows = [head, ['---'] * len(head)]
    for name in order:
        group = runs[name]
        row = [f'`{name}`', str(len(group)), str(group[0]['steps'])]
        row += [cell([run[column] for run in group]) for column in columns]
        for name in also:
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
    best = 'validation' if validated else 'test'
    hardware = sorted({run['hardware'] for g in runs.values() for run in g})
    return (
        f'{table}\n\nMean ± sample standard deviation over seeds. "last": '
        f'last checkpoint; "best": the checkpoint with the best {best} '
        f'value. Hardware: {"; ".join(hardware)}. Logs: `{logs.as_posix()}`.'
    )


def write_between_markers(readme: Path, name: str, table: str) -> None:
    """Put ``table`` where the README has the markers of ``name``.

    Raises:
        ValueError: it has none.
    """
    marked = re.compile(
        rf'(<!-- results:{name} -->\n).*?(<!-- /results:{name} -->)', re.S
    )
    text = readme.read_text()
    if not marked.search(text):
        raise ValueError(
            f'--readme {readme} has no markers <!-- results:{name} --> '
            f'and <!-- /results:{name} -->; write both where the table goes'
        )
    readme.write_text(marked.sub(lambda m: f'{m[1]}{table}\n{m[2]}', text))
