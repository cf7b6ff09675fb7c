"""benchmarks/cohort.py: which steps it measures, and the report."""

from __future__ import annotations

import json

import pytest

from benchmarks import cohort as benchmark


def test_straight_line():
    fit = benchmark.straight_line
    start, slope, error = fit({1: 5.0, 2: 7.0, 4: 11.0})
    assert (start, slope) == (pytest.approx(3.0), pytest.approx(2.0))
    assert error < 1e-9
    assert fit({1: 1.0, 2: 4.0, 3: 9.0, 4: 16.0})[2] > 0.1


def test_report(cohort_config, tmp_path, capsys):
    out = tmp_path / 'cohort.json'
    options = ['--peers', '2', '3', '--steps=1', f'--json={out}']
    benchmark.main([str(cohort_config), *options])
    seconds = json.loads(out.read_text())['seconds']
    assert {kind: set(costs) for kind, costs in seconds.items()} == {
        'none': {'1', '2', '3'},
        'exchange': {'2', '3'},
        'losses': {'2', '3'},
    }
    assert all(c > 0 for costs in seconds.values() for c in costs.values())
    assert '\n| 3 | ' in capsys.readouterr().out


def test_synthetic_scenes(cohort_config):
    result = benchmark.main(
        [str(cohort_config), '--peers=2', '--steps=1', '--batch-size=3']
        + ['--input-shape', '3', '32', '32']
    )
    assert result['batch'] == 3


def test_needs_a_cohort(toy, error_line):
    line = error_line(benchmark.main, toy.student)
    assert 'mmkd.OnlineDistiller' in line
