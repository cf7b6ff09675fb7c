"""Runs without GPU."""

from __future__ import annotations

import pytest
from mmengine.config import Config

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
