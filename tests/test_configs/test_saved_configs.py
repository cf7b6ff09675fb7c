"""A config that mmengine saved, with sorted keys, trains as the first one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

for package in ('mmpretrain', 'mmseg', 'mmdet', 'mmpose'):
    pytest.importorskip(package)
from benchmarks.trust import toys  # noqa: E402
from tests.support.ranks import prepared, steps_of  # noqa: E402


def first_losses(name: str, folder: Path, state: Any = None) -> Any:
    """Return what the first step logs, and the weights that it has seen.

    Args:
        name: of a method.
        folder: of the run.
        state: weights, instead of those that are drawn; which ones these are
            depends on the order in which parts are built.
    """
    with toys.forgotten_globals():
        toy = toys.toy_run(name, folder, 12, 1)
        batches = prepared(toy, double=False)
        if state is not None:
            toy.model.load_state_dict(state)
        state = copy.deepcopy(toy.model.state_dict())
        return steps_of(toy, batches, [[(0, 12)]], 0, 1)['logs'][0], state


@pytest.mark.slow
@pytest.mark.parametrize('name', toys.METHODS)
def test_order_of_keys_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, state = first_losses(name, tmp_path / 'run')

    def saved(*args: Any) -> Config:
        config = given(*args)
        file = tmp_path / 'saved.py'
        config.dump(file)
        return Config.fromfile(file)

    given = toys.toy_config
    monkeypatch.setattr(toys, 'toy_config', saved)
    again, _ = first_losses(name, tmp_path / 'run', state)
    assert again.keys() == first.keys()
    for key, value in first.items():
        assert again[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key
