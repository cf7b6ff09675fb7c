"""Random numbers that follow from the step."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mmkd.engine.hooks import StepSeedHook
from mmkd.engine.hooks.step_seed_hook import seed_step


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def runner(step: int = 0, seed: int | None = 3) -> Any:
    return SimpleNamespace(iter=step, seed=seed)


def drawn(stream: str, step: int, seed: int | None = 3) -> Any:
    seed_step(runner(seed=seed), stream, step)
    return draw()


def test_same_step_same_numbers() -> None:
    first = drawn('model', 7)
    draw()
    assert drawn('model', 7) == first


def test_everything_else_differs() -> None:
    first = drawn('model', 7)
    for other in (
        drawn('model', 8),
        drawn('data', 7),
        drawn('model', 7, seed=4),
    ):
        assert all(a != b for a, b in zip(first, other, strict=True))


def test_ranks_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    first = drawn('data', 7)
    monkeypatch.setattr('mmkd.engine.hooks.step_seed_hook.get_rank', lambda: 1)
    assert drawn('data', 7) != first


def test_no_seed_is_seed_zero() -> None:
    assert drawn('data', 1, seed=None) == drawn('data', 1, seed=0)


def test_points_in_a_run() -> None:
    """Before the first batch, the step, the next batch; after validation."""
    hook = StepSeedHook()
    hook.before_train_epoch(runner(4))
    assert draw() == drawn('data', 4)
    hook.before_train_iter(runner(4), 0)
    assert draw() == drawn('model', 4)
    hook.after_train_iter(runner(4), 0)
    assert draw() == drawn('data', 5)
    hook.after_val_epoch(runner(5))  # the loop has counted the step by now
    assert draw() == drawn('data', 5)


def test_comes_last() -> None:
    assert StepSeedHook().priority == 'LOWEST'
