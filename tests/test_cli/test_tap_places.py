"""Rows of modules: paths, classes, shapes."""

from __future__ import annotations

from mmkd.cli import tap_places
from tests.support.other_networks import retinanet


def test_listed_paths_are_taps(toy):
    from mmkd.networks import build_network
    from mmkd.taps import find_module

    network = build_network(str(toy.student))
    rows, _ = tap_places.list_modules(str(toy.student), (3, 32, 32))
    assert len(rows) > 50
    for row in rows:
        assert type(find_module(network, row.path)).__name__ == row.kind


def test_runs_on_the_cpu_where_meta_fails(toy, monkeypatch):
    run = tap_places.run

    def fail_on_meta(network, inputs):
        if inputs.is_meta:
            raise NotImplementedError
        return run(network, inputs)

    wanted, _ = tap_places.list_modules(str(toy.student), (3, 32, 32))
    monkeypatch.setattr(tap_places, 'run', fail_on_meta)
    found, _ = tap_places.list_modules(str(toy.student), (3, 32, 32))
    assert found == wanted


def test_a_head_of_all_levels_is_a_list():
    rows, _ = tap_places.list_modules(retinanet(4), (3, 128, 128))
    row = next(row for row in rows if row.path == 'bbox_head.retina_cls')
    sides = (16, 8, 4, 2, 1)
    assert row.inputs == ' '.join(f'(2, 8, {side}, {side})' for side in sides)
    assert row.outputs == ' '.join(
        f'(2, 63, {side}, {side})' for side in sides
    )
