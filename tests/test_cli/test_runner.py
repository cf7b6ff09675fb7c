"""Runs without GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmkd.cli import runner as module
from mmkd.cli.runner import build_runner, start_processes
from mmkd.engine.hooks.finite_gradient_hook import FiniteGradientHook
from mmkd.toys.networks import toy_network


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
    runner = object.__new__(module._ToolRunner)
    runner._distributed = True
    model = torch.nn.Linear(1, 1)
    model.has_own_step = own_step
    runner.wrap_model(given, model)
    assert (None if seen[0] is None else seen[0]['type']) == expected


class CountingRunner(Runner):
    """A runner of a user's own."""

    loggers = 0

    def build_logger(self, *args: Any, **kwargs: Any) -> Any:
        type(self).loggers += 1
        return super().build_logger(*args, **kwargs)


class TornDataset(BaseDataset):
    """One sample, whose file is torn."""

    def load_data_list(self) -> list[dict]:
        return [dict(img_path='torn.png')]


def tear(_: dict) -> dict:
    raise OSError('no image')


def test_a_runner_class_of_the_user_gets_what_the_tools_add(tmp_path):
    RUNNERS.register_module(module=CountingRunner, force=True)
    runner = build_runner(
        Config(
            dict(
                runner_type='CountingRunner',
                model=toy_network('classification'),
                work_dir=str(tmp_path),
            )
        )
    )
    assert isinstance(runner, CountingRunner)
    assert type(runner).loggers == 1
    assert any(isinstance(h, FiniteGradientHook) for h in runner.hooks)
    loader = runner.build_dataloader(
        dict(
            dataset=TornDataset(pipeline=[tear]),
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=1,
        )
    )
    with pytest.raises(ValueError, match=r'torn\.png.*OSError: no image'):
        list(loader)


def test_unknown_runner_class():
    RUNNERS.register_module(module=CountingRunner, force=True)
    config = Config(dict(runner_type='CountingRuner'))
    with pytest.raises(KeyError, match='CountingRuner.*CountingRunner'):
        build_runner(config)
