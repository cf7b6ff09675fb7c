"""Every method on one, two and three processes (gloo), in float64.

The toy config of each method takes two steps on 12 images, parted among the
processes. Three kinds of results:

- joined: all that is trained equals that of one process on the 12 images;
- groups: it equals the mean over groups, one process that accumulates the
  gradients of the parts. Losses that relate samples (SP, RKD, NST, ...), or
  divide by a number of pixels, joints or boxes, are means of groups;
- alike: all processes end alike. These draw samples, have queues that
  the tests of their own look at, or a spectral norm that walks with every
  pass.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

for package in ('mmpretrain', 'mmseg', 'mmpose', 'mmdet'):
    pytest.importorskip(package)
from benchmarks.trust.toys import (  # noqa: E402
    METHODS,
    Toy,
    forgotten_globals,
    toy_run,
)
from tests.support.ranks import on_ranks, prepared, steps_of  # noqa: E402

IMAGES, STEPS = 12, 2
JOINED, GROUPS, ALIKE = 'joined', 'groups', 'alike'
KINDS = {
    'CIRKD': ALIKE,
    'SKD, segmentation': ALIKE,
    'IFVD, segmentation': ALIKE,
    'CWD, segmentation': ALIKE,
    'DSD, segmentation': GROUPS,
    'AT, segmentation': GROUPS,
    'FITNET, segmentation': GROUPS,
    'MCL': GROUPS,
    'L-MCL': GROUPS,
    'MCL-OKD': ALIKE,
    'SP, CRD benchmark': GROUPS,
    'CC, CRD benchmark': GROUPS,
    'RKD, CRD benchmark': GROUPS,
    'PKT, CRD benchmark': GROUPS,
    'CRD, CRD benchmark': ALIKE,
    'OFD, CRD benchmark': GROUPS,
    'SSKD, CRD benchmark': GROUPS,
    'FitNet, detection': GROUPS,
    'PKD, detection': GROUPS,
}
#: kept in float32, as boxes are: one step, from equal weights. After it the
#: weights differ by rounding, and a ReLU may let through what it did not.
FLOAT32 = ('FitNet, detection', 'PKD, detection')
#: under random teachers, whose features give a loss of 760
RATES = {'CWD, segmentation': 1e-5}
FAST = ('DML',)
CASES = [
    pytest.param(
        *(name, name),
        id=name,
        marks=() if name in FAST else pytest.mark.slow,
    )
    for name in METHODS
]


def parts(world: int) -> list[list[tuple[int, int]]]:
    size = IMAGES // world
    return [[(k * size, (k + 1) * size)] for k in range(world)]


def in_turn(shares: list[list[tuple[int, int]]]) -> list[Any]:
    """All parts in one process, one after the other."""
    return [[part for share in shares for part in share]]


def compare(one: Any, other: Any, rtol: float) -> None:
    for key, value in one.items():
        if not value.is_floating_point():
            assert torch.equal(other[key], value), key
            continue
        most = float(value.abs().max()) if value.numel() else 0.0
        torch.testing.assert_close(
            other[key], value, rtol=rtol, atol=rtol * (most + 1e-3), msg=key
        )


@pytest.fixture
def toy(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with forgotten_globals():
        name = request.param
        steps = 1 if name in FLOAT32 else STEPS
        yield toy_run(name, tmp_path / 'toy', IMAGES, steps)


@pytest.mark.parametrize(('toy', 'name'), CASES, indirect=['toy'])
def test_processes_equal_one(toy: Toy, name: str, tmp_path: Path) -> None:
    kind = KINDS.get(name, JOINED)
    double, lr = name not in FLOAT32, RATES.get(name, 0.01)
    rtol = 1e-7 if double else 1e-5
    batches = prepared(toy, double)

    def run(shares: Any, accumulate: int = 1) -> Any:
        return lambda rank, world: steps_of(
            toy, batches, shares, rank, world, accumulate, lr=lr
        )

    alone = on_ranks(1, run(parts(1)), tmp_path)[0]
    for world in (2, 3):
        shares = parts(world)
        ranks = on_ranks(world, run(shares), tmp_path)
        for rank in ranks[1:]:
            for key, value in ranks[0]['state'].items():
                assert torch.equal(rank['state'][key], value), key
        wanted = alone
        if kind == GROUPS:
            wanted = on_ranks(1, run(in_turn(shares), world), tmp_path)[0]
        for step, log in enumerate(alone['logs']):
            for key, value in log.items():
                found = [rank['logs'][step][key] for rank in ranks]
                assert all(map(math.isfinite, found)), key
                if kind == JOINED and 'loss' in key:
                    mean = sum(found) / world
                    assert mean == pytest.approx(value, rel=rtol, abs=rtol)
        if kind == ALIKE:
            continue
        compare(wanted['state'], ranks[0]['state'], rtol)


@pytest.mark.slow
@pytest.mark.parametrize('toy', ['KD, CRD benchmark', 'DML'], indirect=['toy'])
def test_parts_of_unlike_sizes(toy: Toy, tmp_path: Path) -> None:
    """Gradients are the mean of the processes, whatever their parts are."""
    batches = prepared(toy, True)
    shares = [[(0, 7)], [(7, 12)]]

    def run(shares: Any, accumulate: int = 1) -> Any:
        return lambda rank, world: steps_of(
            toy, batches, shares, rank, world, accumulate
        )

    ranks = on_ranks(2, run(shares), tmp_path)
    assert ranks[0]['logs'] != ranks[1]['logs']  # each of its own part
    wanted = on_ranks(1, run(in_turn(shares), 2), tmp_path)[0]
    for rank in ranks:
        compare(wanted['state'], rank['state'], 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(('toy', 'name'), CASES, indirect=['toy'])
def test_bfloat16_is_finite_and_close(
    toy: Toy, name: str, tmp_path: Path
) -> None:
    if name.startswith(('OKDHP', 'pose baseline', 'FFL, pose')):
        pytest.skip('heads of mmpose make NumPy arrays of their maps')
    batches, lr = prepared(toy, False), RATES.get(name, 0.01)

    def run(kind: str) -> Any:
        return lambda rank, world: steps_of(
            toy, batches, parts(1), rank, world, kind=kind, lr=lr
        )

    whole, mixed = (
        on_ranks(1, run(kind), tmp_path)[0]
        for kind in ('OptimWrapper', 'mmkd.AutocastOptimWrapper')
    )
    assert all(v.isfinite().all() for v in mixed['state'].values())
    for one, other in zip(whole['logs'], mixed['logs'], strict=True):
        for key in (k for k in one if 'loss' in k):
            assert other[key] == pytest.approx(one[key], rel=0.1, abs=0.05)
