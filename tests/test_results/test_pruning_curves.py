from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmkd.results.pruning_curves import read_filter_norms, tradeoff_points


def write(folder: Path, epochs: dict[int, list[float]]) -> None:
    folder.mkdir(parents=True)
    lines = [
        json.dumps(dict(epoch=epoch, norms=dict(conv1=norms)))
        for epoch, norms in epochs.items()
    ]
    (folder / 'filter_norms.jsonl').write_text('\n'.join(lines) + '\n')


def test_later_parts_of_a_resumed_run_count(tmp_path: Path) -> None:
    write(tmp_path / '1', {1: [1.0, 2.0], 2: [3.0, 4.0]})
    write(tmp_path / '2', {2: [5.0, 6.0], 3: [7.0, 8.0]})
    norms = read_filter_norms(tmp_path)
    assert norms['conv1'].tolist() == [[1, 2], [5, 6], [7, 8]]
    one = read_filter_norms(tmp_path / '1' / 'filter_norms.jsonl')
    assert one['conv1'].tolist() == [[1, 2], [3, 4]]


def test_rates_of_a_method_are_a_series() -> None:
    def runs(flops: float, *values: float, compact: bool = True):
        return [
            dict(masked=dict(acc=value), flops=8e6)
            | (
                dict(compact=dict(acc=value), compact_flops=flops)
                if compact
                else {}
            )
            for value in values
        ]

    measured = dict(
        cpu_sfp_net_p10_data=runs(6e6, 70.0, 74.0),
        cpu_sfp_net_p30_data=runs(4e6, 60.0),
        cpu_baseline_net_data=runs(0.0, 75.0, compact=False),
    )
    series = tradeoff_points(measured, 'acc')
    assert series == dict(
        cpu_baseline_net_data=[(8.0, 75.0, 0.0)],
        cpu_sfp_net_data=[
            (4.0, 60.0, 0.0),
            (6.0, 72.0, pytest.approx(8**0.5)),
        ],
    )


def test_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='FilterNormsHook'):
        read_filter_norms(tmp_path)
