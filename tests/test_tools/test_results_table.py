"""tools/results_table.py: numbers, spread, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmkd.results.runs import read_run


def write_log(path: Path, val: list[float], tests: list[float]) -> None:
    lines: list[dict] = [{'loss': 1.0, 'step': 5}]
    lines += [
        {'mIoU': value, 'step': 10 * (k + 1)} for k, value in enumerate(val)
    ]
    lines += [
        {'test': name, 'mIoU': value, 'step': 20}
        for name, value in zip(('last', 'best'), tests, strict=True)
    ]
    lines.append({'minutes': 4.0, 'hardware': 'CPU'})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(map(json.dumps, lines)))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / 'study'
    write_log(folder / 'base' / 'seed0.jsonl', [50, 40], [30, 33])
    write_log(folder / 'base' / 'seed1.jsonl', [50, 44], [34, 35])
    write_log(folder / 'taught' / 'seed0.jsonl', [50, 47], [38, 38])
    return folder


def run(tool: Callable[[str], Any], *args: object) -> None:
    tool('results_table').main([str(arg) for arg in args])


def test_mean_spread_and_gain(logs, tool, capsys) -> None:
    run(tool, logs, '--baseline', 'base', '--order', 'taught', 'base')
    rows = [
        line for line in capsys.readouterr().out.splitlines() if '`' in line
    ]
    assert rows[0].startswith('| `taught` | 1 | 20 | 47.00 | 50.00 | 38.00')
    assert '+6.00' in rows[0]  # 38 against the mean of 30 and 34
    # the sample standard deviation of 40 and 44 is 2.83
    assert '42.00 ± 2.83 | 50.00 ± 0.00 | 32.00 ± 2.83' in rows[1]


def test_writes_between_markers_and_again(logs, tmp_path, tool) -> None:
    readme = tmp_path / 'README.md'
    readme.write_text(
        'before\n<!-- results:study -->\nold\n<!-- /results:study -->\nafter\n'
    )
    run(tool, logs, '--readme', readme)
    once = readme.read_text()
    assert once.startswith('before\n<!-- results:study -->\n| config |')
    assert 'old' not in once and once.endswith(
        '<!-- /results:study -->\nafter\n'
    )
    run(tool, logs, '--readme', readme)
    assert readme.read_text() == once


def test_readme_without_markers(logs, tmp_path, tool, error_line) -> None:
    readme = tmp_path / 'README.md'
    readme.write_text('nothing')
    main = tool('results_table').main
    assert 'no markers' in error_line(main, logs, '--readme', readme)


def test_unfinished_run_is_refused(logs, tool, error_line) -> None:
    (logs / 'base' / 'seed2.jsonl').write_text('{"mIoU": 1.0, "step": 10}')
    line = error_line(tool('results_table').main, logs)
    assert 'not the log of a finished run' in line


def test_best_is_the_value_of_the_kept_checkpoint(logs) -> None:
    result = read_run(logs / 'base' / 'seed0.jsonl', 'mIoU')
    assert result[('val', 'best')] == 50 and result[('val', 'last')] == 40
    assert result[('test', 'best')] == 33 and result['steps'] == 20


def test_cohorts_have_further_columns(logs, tool, capsys) -> None:
    """A run in epochs, validated on the test data, with several peers."""
    path = logs / 'taught' / 'seed0.jsonl'
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    lines[0] |= {'epoch': 20, 'step': 500}
    lines[2] |= {'ensemble/mIoU': 49.5}
    path.write_text('\n'.join(map(json.dumps, lines)))
    (logs / 'base').rename(logs / 'zero')
    run(tool, logs, '--no-val', '--also', 'ensemble/mIoU')
    head, _, taught, alone = capsys.readouterr().out.splitlines()[:4]
    assert '| epochs |' in head and 'val mIoU' not in head
    assert taught.split(' | ')[2:6] == ['20', '38.00', '38.00', '49.50']
    assert alone.split(' | ')[5] == '-'


def test_shares_are_shown_in_percent(logs, tool, capsys) -> None:
    """PCK of mmpose, accuracy of puzzles; no other number is changed."""
    for path in logs.glob('*/*.jsonl'):
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        for line in lines:
            if 'mIoU' in line:
                line['jigsaw/PCK'] = line.pop('mIoU') / 1000
        path.write_text('\n'.join(map(json.dumps, lines)))
    options = ['--metric', 'jigsaw/PCK', '--percent', '--baseline', 'base']
    run(tool, logs, *options)
    head, _, base, taught = capsys.readouterr().out.splitlines()[:4]
    assert '| test jigsaw/PCK (%), last |' in head
    assert '| 2 | 20 | 4.20 ± 0.28 | 5.00 ± 0.00 | 3.20 ± 0.28 |' in base
    assert taught.endswith('| 3.80 | 3.80 | +0.60 | 4 |')
