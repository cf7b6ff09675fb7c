"""tools/results_table.py: numbers, spread, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import results_table  # noqa: E402


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


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> None:
    monkeypatch.setattr(sys, 'argv', ['results_table.py', *map(str, args)])
    results_table.main()


def test_mean_spread_and_gain(logs, monkeypatch, capsys) -> None:
    run(monkeypatch, logs, '--baseline', 'base', '--order', 'taught', 'base')
    rows = [
        line for line in capsys.readouterr().out.splitlines() if '`' in line
    ]
    assert rows[0].startswith('| `taught` | 1 | 20 | 47.00 | 50.00 | 38.00')
    assert '+6.00' in rows[0]  # 38 against the mean of 30 and 34
    # the sample standard deviation of 40 and 44 is 2.83
    assert '42.00 ± 2.83 | 50.00 ± 0.00 | 32.00 ± 2.83' in rows[1]


def test_writes_between_markers_and_again(logs, tmp_path, monkeypatch) -> None:
    readme = tmp_path / 'README.md'
    readme.write_text(
        'before\n<!-- results:study -->\nold\n<!-- /results:study -->\nafter\n'
    )
    run(monkeypatch, logs, '--readme', readme)
    once = readme.read_text()
    assert once.startswith('before\n<!-- results:study -->\n| config |')
    assert 'old' not in once and once.endswith(
        '<!-- /results:study -->\nafter\n'
    )
    run(monkeypatch, logs, '--readme', readme)
    assert readme.read_text() == once


def test_readme_without_markers(logs, tmp_path, monkeypatch) -> None:
    readme = tmp_path / 'README.md'
    readme.write_text('nothing')
    with pytest.raises(SystemExit, match='no markers'):
        run(monkeypatch, logs, '--readme', readme)


def test_unfinished_run_is_refused(logs, monkeypatch) -> None:
    (logs / 'base' / 'seed2.jsonl').write_text('{"mIoU": 1.0, "step": 10}')
    with pytest.raises(ValueError, match='not the log of a finished run'):
        run(monkeypatch, logs)


def test_best_is_the_value_of_the_kept_checkpoint(logs) -> None:
    result = results_table.read_run(logs / 'base' / 'seed0.jsonl', 'mIoU')
    assert result[('val', 'best')] == 50 and result[('val', 'last')] == 40
    assert result[('test', 'best')] == 33 and result['steps'] == 20


def test_cohorts_have_further_columns(logs, monkeypatch, capsys) -> None:
    """A run in epochs, validated on the test data, with several peers."""
    path = logs / 'taught' / 'seed0.jsonl'
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    lines[0] |= {'epoch': 20, 'step': 500}
    lines[2] |= {'ensemble/mIoU': 49.5}
    path.write_text('\n'.join(map(json.dumps, lines)))
    (logs / 'base').rename(logs / 'zero')
    run(monkeypatch, logs, '--no-val', '--also', 'ensemble/mIoU')
    head, _, taught, alone = capsys.readouterr().out.splitlines()[:4]
    assert '| epochs |' in head and 'val mIoU' not in head
    assert taught.split(' | ')[2:6] == ['20', '38.00', '38.00', '49.50']
    assert alone.split(' | ')[5] == '-'


def test_shares_are_shown_in_percent(logs, monkeypatch, capsys) -> None:
    """PCK of mmpose, accuracy of puzzles; no other number is changed."""
    for path in logs.glob('*/*.jsonl'):
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        for line in lines:
            if 'mIoU' in line:
                line['jigsaw/PCK'] = line.pop('mIoU') / 1000
        path.write_text('\n'.join(map(json.dumps, lines)))
    options = ['--metric', 'jigsaw/PCK', '--percent', '--baseline', 'base']
    run(monkeypatch, logs, *options)
    head, _, base, taught = capsys.readouterr().out.splitlines()[:4]
    assert '| test jigsaw/PCK (%), last |' in head
    assert '| 2 | 20 | 4.20 ± 0.28 | 5.00 ± 0.00 | 3.20 ± 0.28 |' in base
    assert taught.endswith('| 3.80 | 3.80 | +0.60 | 4 |')
