"""The record of filter norms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pruning_runner import CONVS, Record, make_runner

from mmkd.testing.references import pruning as reference


def test_norms_before_the_mask_of_every_epoch(tmp_path) -> None:
    class Before(Record):
        priority = 'NORMAL'

    before = Before()
    norms = dict(type='mmkd.FilterNormsHook', include=['^conv'])
    runner = make_runner(
        tmp_path, dict(pruning_rate=0.5), hooks=[norms, before]
    )
    runner.train()
    path = Path(runner.log_dir) / 'filter_norms.jsonl'
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line['epoch'] for line in lines] == [1, 2, 3, 4, 5]
    for t, line in enumerate(lines):
        assert list(line['norms']) == list(CONVS)
        for name in CONVS:
            weight = before.after[t][f'{name}.weight']
            expected = reference.norms(weight)
            assert line['norms'][name] == pytest.approx(expected, rel=1e-3)
    assert min(lines[4]['norms']['conv2']) > 0
