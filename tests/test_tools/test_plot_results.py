"""tools/plot_results.py on the logs of tools/run_seeds.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for name, values in (('alone', [50.0, 51.0]), ('taught', [52.0])):
        folder = tmp_path / 'logs' / name
        folder.mkdir(parents=True)
        for seed, value in enumerate(values):
            lines = [
                {'accuracy/top1': 1.0, 'step': 1},
                {'test': 'last', 'step': 2, 'accuracy/top1': value},
                {'test': 'best', 'step': 1, 'accuracy/top1': 99.0},
            ]
            text = '\n'.join(json.dumps(line) for line in lines)
            (folder / f'seed{seed}.jsonl').write_text(text)
    return tmp_path / 'logs'


@pytest.mark.parametrize(
    ('arguments', 'drawn', 'line'),
    [
        ([], {'alone': [50.0, 51.0], 'taught': [52.0]}, None),
        (
            ['--baseline', 'student=alone', '--methods', 'KD=taught'],
            {'student': [50.0, 51.0], 'KD': [52.0]},
            'student',
        ),
    ],
)
def test_values_of_the_last_checkpoint(
    arguments: list[str],
    drawn: dict[str, list[float]],
    line: str | None,
    logs: Path,
    tool: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = tool('plot_results')
    seen: list[Any] = []
    real = module.plot_bars

    def spy(*given: Any) -> None:
        seen.append(given)
        real(*given)

    monkeypatch.setattr(module, 'plot_bars', spy)
    out = logs.parent / 'new' / 'bars.png'
    module.main([str(logs), *arguments, '--out', str(out)])
    ((values, _, label, baseline),) = seen
    assert (values, label, baseline) == (drawn, 'accuracy/top1', line)
    assert list(values) == list(drawn)
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--methods', 'absent'], 'absent" has no seed'),
        (['--methods', 'alone', '--metric', 'mIoU'], 'with --metric mIoU'),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    message: str,
    logs: Path,
    tool: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        tool('plot_results').main([str(logs), *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and message in line
