"""Runs without GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd.cli import runner as module
from mmkd.cli.runner import start_processes


def test_launchers_without_gpu(monkeypatch):
    config = Config(dict(train_cfg=dict(max_iters=2)))
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.delenv('RANK', raising=False)
    config.launcher = 'none'
    start_processes(config)
    assert 'env_cfg' not in config
    config.launcher = 'slurm'
    with pytest.raises(ValueError, match='torchrun'):
        start_processes(config)
    config.launcher = 'pytorch'
    with pytest.raises(KeyError, match='RANK'):
        start_processes(config)


@pytest.mark.parametrize(
    ('own_step', 'given', 'expected'),
    [
        (False, None, None),
        (True, None, 'mmkd.PhasedDistributedDataParallel'),
        (
            True,
            dict(type='MMDistributedDataParallel'),
            'mmkd.PhasedDistributedDataParallel',
        ),
        (True, dict(type='mmkd.Other'), 'mmkd.Other'),
    ],
)
def test_wrapper_of_a_model_with_a_step_of_its_own(
    own_step: bool, given: Any, expected: str | None, monkeypatch: Any
) -> None:
    seen = []
    monkeypatch.setattr(
        Runner, 'wrap_model', lambda self, cfg, model: seen.append(cfg)
    )
    runner = object.__new__(module._Runner)
    runner._distributed = True
    model = torch.nn.Linear(1, 1)
    model.has_own_step = own_step
    runner.wrap_model(given, model)
    assert (None if seen[0] is None else seen[0]['type']) == expected
