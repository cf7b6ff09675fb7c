"""benchmarks/pose_data.py: three pipelines, one report."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('mmpose')

from benchmarks import pose_data as benchmark  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize('size', ['256x192', '384x288'])
def test_report(tmp_path, capsys, size):
    out = tmp_path / 'report.json'
    benchmark.main(
        ['--size', size, '--rounds=1', '--crops=2', '--json', str(out)]
    )
    report = json.loads(out.read_text())
    times = report['milliseconds_per_crop']
    assert list(times) == ['stock', 'joints', 'mmkd']
    assert min(times.values()) > 0
    cost = report['cost_of_mmkd_over']['joints']['fastest']
    assert cost == pytest.approx(times['mmkd'] / times['joints'] - 1, abs=0.01)
    assert 'mmkd over joints:' in capsys.readouterr().out


def test_half_a_data_set(error_line):
    line = error_line(benchmark.main, '--ann-file', 'a.json')
    assert 'give both' in line
