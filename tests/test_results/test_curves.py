from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmkd.results.curves import peer_curves, read_scalars, smoothed

METRIC = 'accuracy/top1'


def line(step: int, **values: float) -> dict[str, Any]:
    named = {f'{name}/{METRIC}': value for name, value in values.items()}
    return dict(named, step=step)


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in lines))
    return path


def test_order_is_that_of_the_numbers() -> None:
    names = ('peers_mean', 'peer10', 'gated', 'peer2', 'peer0', 'ensemble')
    curves = peer_curves([line(1, **dict.fromkeys(names, 1.0))], METRIC)
    assert list(curves) == [
        'peer0',
        'peer2',
        'peer10',
        'ensemble',
        'gated',
        'peers_mean',
    ]


def test_deployed_is_shown_unless_it_is_a_peer() -> None:
    lines = [
        {**line(1, peer0=1.0, peer1=2.0), METRIC: 2.0},
        {**line(2, peer0=4.0, peer1=3.0), METRIC: 4.0},
    ]
    curves = peer_curves(lines, METRIC)
    assert curves['deployed'] == ([1, 2], [2.0, 4.0])
    lines[1][METRIC] = 3.0
    assert list(peer_curves(lines, METRIC)) == ['peer0', 'peer1']


def test_plain_runs_have_one_curve() -> None:
    lines = [dict(step=1, loss=2.0), {METRIC: 5.0, 'step': 1}]
    assert peer_curves(lines, METRIC) == {'deployed': ([1], [5.0])}


def test_resumed_runs_are_one_curve(tmp_path: Path) -> None:
    train = dict(step=30, loss=1.0, lr=0.1)
    first = [train, line(1, peer0=1.0), line(2, peer0=2.0)]
    second = [line(2, peer0=2.5), train, line(3, peer0=3.0)]
    write(tmp_path / '20260101_0000' / 'vis_data' / 'scalars.json', first)
    write(tmp_path / '20260102_0000' / 'vis_data' / 'scalars.json', second)
    curves = peer_curves(read_scalars(tmp_path), METRIC)
    assert curves == {'peer0': ([1, 2, 3], [1.0, 2.5, 3.0])}


def test_one_file_is_read(tmp_path: Path) -> None:
    lines = [line(1, peer0=1.0)]
    assert read_scalars(write(tmp_path / 'seed0.jsonl', lines)) == lines


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='has no log'):
        read_scalars(tmp_path)
    path = write(tmp_path / 'cut.json', [line(1, peer0=1.0)])
    path.write_text(path.read_text() + '{"step": 2, "peer0')
    with pytest.raises(ValueError, match=r'cut\.json, line 2 is not a JSON'):
        read_scalars(path)
    with pytest.raises(KeyError, match='metric="mIoU".*peer0/accuracy/top1'):
        peer_curves([line(1, peer0=1.0)], 'mIoU')


def test_smoothed_is_the_mean_of_the_last_values() -> None:
    values = [4.0, 2.0, 6.0, 8.0, 0.0]
    expected = [np.mean(values[max(0, i - 2) : i + 1]) for i in range(5)]
    np.testing.assert_allclose(smoothed(values, 3), expected)
    assert smoothed([], 3) == []


def test_smoothed_refuses_an_empty_window() -> None:
    with pytest.raises(ValueError, match='window=0'):
        smoothed([1.0], 0)
