"""The short form of `python -m benchmarks.trust`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

for package in ('mmpretrain', 'mmseg', 'mmpose', 'mmdet'):
    pytest.importorskip(package)
from benchmarks.trust import fake_device, gate, soak  # noqa: E402
from benchmarks.trust.parts import PARTS  # noqa: E402
from benchmarks.trust.report import table_of  # noqa: E402
from benchmarks.trust.toys import METHODS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STORED = json.loads(gate.STORED.read_text())
FEW = ('DML', 'AFD')
OTHER_STACK = [
    f'{name} {found}, stored for {STORED["stack"].get(name)}'
    for name, found in gate.stack().items()
    if STORED['stack'].get(name) != found
]
pinned = pytest.mark.skipif(
    bool(OTHER_STACK), reason=f'another stack: {", ".join(OTHER_STACK)}'
)


@pinned
def test_a_few_methods_give_the_stored_numbers() -> None:
    found = gate.measure(FEW)
    assert list(gate.differences(found, STORED['methods'])) == []


@pinned
@pytest.mark.slow
def test_all_methods_give_the_stored_numbers() -> None:
    found = gate.measure([name for name in METHODS if name not in FEW])
    assert list(gate.differences(found, STORED['methods'])) == []


def test_every_method_has_stored_numbers() -> None:
    assert set(METHODS) == set(STORED['methods'])
    assert {len(n['losses']) for n in STORED['methods'].values()} == {10}


def test_a_changed_number_is_told() -> None:
    numbers = STORED['methods']['DML']
    losses = [*numbers['losses'][:4], 1.5, *numbers['losses'][5:]]
    changed = dict(DML=dict(numbers, losses=losses))
    (line,) = gate.differences(changed, STORED['methods'])
    was = numbers['losses'][4]
    assert line == f'DML: loss of step 5 is 1.5, was {was!r}'
    changed = dict(DML=dict(numbers, weights='other'))
    (line,) = gate.differences(changed, STORED['methods'])
    assert line == 'DML: same losses, other weights'
    failed = dict(DML=dict(error='ValueError: x'))
    assert list(gate.differences(failed, {})) == ['DML: ValueError: x']


@pytest.mark.slow
def test_no_device_is_mixed() -> None:
    found = fake_device.measure(METHODS)
    wrong = {k: v for k, v in found.items() if v['result'] == 'wrong device'}
    assert wrong == {}
    assert found['DML']['result'] == found['CIRKD']['result'] == 'whole step'


@pytest.mark.slow
def test_nothing_stays_behind() -> None:
    found = soak.measure(['DML', 'L-MCL'], steps=40)
    for result in found.values():
        assert result['hooks'] == result['files'] == 0, result


def test_growth_is_told() -> None:
    steady = dict(growth=0.002, files=0, hooks=0)
    assert soak.is_steady(steady)
    for change in (dict(growth=0.02), dict(files=1), dict(hooks=2)):
        assert not soak.is_steady({**steady, **change})
    assert not soak.is_steady(dict(error=['x']))


def test_the_table_tells_what_was_not_run() -> None:
    soaked = dict(
        DML=dict(steps=2000, growth=0.001, files=0, hooks=0),
        MCL=dict(steps=2000, growth=0.03, files=0, hooks=0),
    )
    lines = table_of(
        dict(
            gate=dict(passed=False, said='DML: loss', figures={}),
            soak=dict(passed=False, said='', figures=soaked),
        )
    )
    assert '**failed**: DML: loss' in lines[2]
    assert lines[3].endswith('| not run |')
    told = '1 of 2 methods steady over 2000 steps; memory grew by 3.00 % at'
    assert told in lines[-1]


def test_commands_name_what_there_is() -> None:
    for part in PARTS.values():
        for command in (part.command, part.short):
            paths = [word for word in command if word.startswith('tests/')]
            assert all((ROOT / path).is_file() for path in paths)
            assert part.arguments(short=False)[2] == part.command[0]
