"""benchmarks/losses.py: both versions agree, the report is complete."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import losses as benchmark
from benchmarks.measure.losses import Case, measure, table

ROWS = dict(
    cirkd=['mini-batch p2p', 'memory p2p + p2r'],
    lmcl=['layers, batch', 'layers, banks'],
    mcl=['batch', 'banks', 'queues'],
    mcl_okd=['MCL-OKD'],
    nst_crd=['NST, small', 'CRD'],
    seg=['SKD pair-wise', 'IFVD'],
    sp_rkd=['SP, small', 'RKD, small'],
    pkd=['PKD, small'],
)


@pytest.mark.slow
@pytest.mark.parametrize('method', ROWS)
def test_report(method, tmp_path, capsys):
    out = tmp_path / 'new' / 'results.json'
    arguments = ['--method', method, '--small', '--repeats', '1']
    benchmark.main([*arguments, '--out', str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert 'best of 1' in lines[0] and len(lines) == 3 + len(ROWS[method])
    rows = json.loads(out.read_text())
    assert [row['name'] for row in rows] == ROWS[method]
    for row in rows:
        assert row['loss_error'] < 1e-5
        assert row['gradient_error'] < 1e-4
        assert row['fused_kept_mib'] > 0 and row['speedup'] > 0
        assert row['target_met'] is None


def test_cirkd_is_the_default():
    assert benchmark.parse_args([]).method == 'cirkd'
    with pytest.raises(SystemExit):
        benchmark.parse_args(['--method', 'none'])


@pytest.mark.parametrize(
    ('goals', 'met'),
    [
        ({}, None),
        (dict(max_kept=0.6), True),
        (dict(max_kept=0.4), False),
        (dict(min_speedup=1e9), False),
        (dict(min_speedup=0.0, max_kept=0.6), True),
        (dict(min_speedup=1e9, max_kept=0.6), False),
    ],
)
def test_goals_and_kept_tensors(goals, met):
    weights = torch.full((100, 100), 0.5)

    def plain(x):
        return ((x.exp() + x.exp()) * weights).sum()  # two results kept

    def lean(x):
        return x.exp().sum()  # one

    inputs = torch.randn(100, 100)
    case = Case('exp', '100x100', inputs, plain, lean, [weights], **goals)
    result = measure(case, 2)
    result = measure(case, 2)
    assert result.kept_ratio == pytest.approx(0.5)
    assert result.plain_kept_mib == pytest.approx(2 * 100 * 100 * 4 / 2**20)
    assert result.loss_error < 1e-6
    assert result.target_met is met
    word = {None: '| - |', True: '| met |', False: '| MISSED |'}[met]
    assert table([result]).endswith(word)
