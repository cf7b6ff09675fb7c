"""The record of filter norms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmkd.registry import HOOKS
from mmkd.results.pruning_curves import read_filter_norms
from tests.references import pruning as reference
from tests.support.pruning_runner import CONVS, Record, make_runner


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


def test_iterations(tmp_path) -> None:
    norms = dict(
        type='mmkd.FilterNormsHook',
        include=['^conv'],
        by_epoch=False,
        interval=2,
    )
    runner = make_runner(
        tmp_path,
        dict(pruning_rate=0.5, by_epoch=False, interval=2),
        hooks=[norms],
        by_epoch=False,
        epochs=3,
    )
    runner.train()
    norms = read_filter_norms(tmp_path)
    assert list(norms) == list(CONVS)
    assert all(len(values) == 3 for values in norms.values())  # 2, 4, 6
    assert norms['conv2'].min() > 0  # before the mask


def test_interval_that_is_not_positive() -> None:
    with pytest.raises(ValueError, match='interval=0 must be at least 1'):
        HOOKS.build(dict(type='mmkd.FilterNormsHook', interval=0))
