"""Faulty configs end in one clear line before the first step.

The fast tests run a part of the generated faults of `tests.support.faults`,
the slow one all; docs/troubleshooting.md has the counts.
"""

from __future__ import annotations

from collections import Counter

import pytest

for package in ('mmpretrain', 'mmseg', 'mmpose', 'mmdet'):
    pytest.importorskip(package)
from tests.support.fault_bases import BASES, base  # noqa: E402
from tests.support.fault_runs import (  # noqa: E402
    CLEAR,
    SILENT,
    outcome,
)
from tests.support.faults import all_faults  # noqa: E402

EVERY = 17
GOAL = 0.975  # of all faults, clear


def run(faults, tool, folder):
    train = tool('train')
    return [
        (
            fault,
            outcome(train, fault.config, fault.names, folder, number),
        )
        for number, fault in enumerate(faults)
    ]


def told(found):
    return [
        f'{end.kind}: {fault.base}, {fault.kind} {fault.title}: {end.text}'
        for fault, end in found
        if end.kind != CLEAR
    ]


@pytest.mark.slow
def test_a_part_of_the_faults(tool, tmp_path):
    found = run(all_faults(tmp_path)[::EVERY], tool, tmp_path)
    assert len(found) > 10
    assert told(found) == []


@pytest.mark.slow
def test_all_faults(tool, tmp_path):
    found = run(all_faults(tmp_path), tool, tmp_path)
    kinds = Counter(end.kind for _, end in found)
    assert set(kinds) <= {CLEAR, 'vague'}, told(found)
    assert kinds[CLEAR] >= GOAL * len(found), told(found)


@pytest.mark.slow
@pytest.mark.parametrize('name', BASES)
def test_without_fault_they_train(tool, tmp_path, name):
    config = base(name, tmp_path)
    end = outcome(tool('train'), config, (), tmp_path, 0)
    assert end.kind == SILENT, end.text
