"""benchmarks/students.py: what it measures, and the report."""

from __future__ import annotations

import json

import pytest

from benchmarks import students as benchmark


def test_report(cohort_config, tmp_path, capsys):
    out = tmp_path / 'students.json'
    benchmark.main([str(cohort_config), '--steps=1', f'--json={out}'])
    result = json.loads(out.read_text())
    together, *alone = result['seconds'].values()
    assert len(alone) == 2
    assert result['ratio'] == pytest.approx(together / sum(alone))
    assert 'together / one after the other: ' in capsys.readouterr().out


def test_needs_a_cohort(toy, error_line):
    line = error_line(benchmark.main, toy.student)
    assert 'mmkd.OnlineDistiller' in line
