"""Rows of modules: paths, classes, shapes."""

from __future__ import annotations

from mmkd.cli import tap_places


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
