"""benchmarks/data.py on a small archive of noise."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('mmpretrain')

from benchmarks import data as benchmark  # noqa: E402


def test_measures_and_writes(tmp_path, capsys):
    file = tmp_path / 'result.json'
    benchmark.main(
        [
            '--images=512',
            '--batch-size=64',
            '--rounds=3',
            '--batches=4',
            f'--json={file}',
        ]
    )
    result = json.loads(file.read_text())
    speed = result['images_per_second']
    assert set(speed) == {'stock', 'stock_stacked', 'mmkd'}
    ratio = result['ratio_to']['stock']['fastest']
    assert ratio == pytest.approx(speed['mmkd'] / speed['stock'], rel=1e-3)
    assert ratio > 2  # the target is 5, on an idle machine
    assert f'mmkd: {speed["mmkd"]} images' in capsys.readouterr().out


def test_missing_data(error_line, tmp_path):
    line = error_line(benchmark.main, '--data-root', tmp_path / 'nowhere')
    assert 'nowhere' in line
