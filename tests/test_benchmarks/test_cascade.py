"""benchmarks/cascade.py: all ways choose the same, the report is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import cascade as benchmark
from benchmarks.cases.sequential_windows import (
    select_in_turn,
    select_in_turn_by_lists,
)
from mmkd.models.classifiers import PatchSelector

pytest.importorskip('mmpretrain')


@pytest.mark.parametrize('accept_top_left', [True, False])
def test_ways_to_choose_agree(accept_top_left: bool) -> None:
    maps = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(0))
    selector = PatchSelector(3, 0.4, accept_top_left, 31, 8)
    boxes, valid = selector(maps)
    assert bool(valid.all())
    for other in (select_in_turn, select_in_turn_by_lists):
        found = other(maps, (0.4, 0.4), accept_top_left, 31, 8)
        assert torch.equal(found, boxes)


def test_report(tmp_path: Path) -> None:
    path = tmp_path / 'report.json'
    result = benchmark.main(
        ['mmkd::anchornet/toy_dynamic.py', '--size', '64', '--rounds', '1',
         '--batch-size', '6', '--json', str(path)]
    )  # fmt: skip
    assert json.loads(path.read_text()) == result
    assert result['selection'].keys() == {'batched_ms', 'in_turn', 'by_lists'}
    assert result['cascade']['throughput'] > 0
    assert result['cascade']['peak'] > 0
