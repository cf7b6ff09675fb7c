"""A bad step is left out: the rest of the run is as if it had not been."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch._subclasses.fake_tensor import FakeTensorMode

for package in ('mmpretrain', 'mmseg'):
    pytest.importorskip(package)
from mmkd.engine.hooks import FiniteGradientHook  # noqa: E402
from mmkd.models.distillers.finite import check_losses  # noqa: E402
from tests.support.fault_bases import base  # noqa: E402


class Poison(Hook):
    """Makes the first image of some steps not finite."""

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.steps = steps

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        if runner.iter in self.steps:
            images = [image.float() for image in data_batch['inputs']]
            images[0][:] = math.nan
            stacked = isinstance(data_batch['inputs'], torch.Tensor)
            data_batch['inputs'] = torch.stack(images) if stacked else images


class Omit(Hook):
    """Lets the model do nothing in some steps."""

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.steps = steps

    def before_train(self, runner: Runner) -> None:
        step = runner.model.train_step

        def train_step(data: Any, optim_wrapper: Any) -> dict:
            if runner.iter in self.steps:
                return {}
            return step(data, optim_wrapper=optim_wrapper)

        runner.model.train_step = train_step


def run(name: str, folder: Any, hooks: list[Hook], accumulate: int = 1) -> Any:
    config = Config(base(name, folder))
    config.work_dir = str(folder)
    config.train_dataloader.sampler = dict(type='InfiniteSampler')
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=4)
    config.log_processor = dict(by_epoch=False)
    config.default_hooks = dict(
        checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
        logger=dict(type='LoggerHook', interval=1),
    )
    config.param_scheduler = None
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.experiment_name = f'{name}_{len(list(folder.iterdir()))}'
    if accumulate > 1:
        config.optim_wrapper.accumulative_counts = accumulate
    torch.manual_seed(0)
    config.custom_hooks = [dict(type='mmkd.StepSeedHook')]
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'cirkd',
        pytest.param('plain_classification', marks=pytest.mark.slow),
        pytest.param('afd', marks=pytest.mark.slow),
    ],
)
def test_a_bad_batch_leaves_no_trace(
    tmp_path: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad = (1, 2)
    guard = FiniteGradientHook(max_left_out=2)
    with caplog.at_level(logging.WARNING):
        found = run(name, tmp_path, [Poison(bad), guard])
    wanted = run(name, tmp_path, [Omit(bad)])
    state = found.model.state_dict()
    for key, value in wanted.model.state_dict().items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=0, msg=key)
    assert found.message_hub.get_info('mmkd_left_out_steps') == 2
    assert 'train_step' not in vars(found.model)
    assert 'parse_losses' not in vars(found.model)


@pytest.mark.slow
def test_accumulated_batches_are_left_out_together(tmp_path: Any) -> None:
    guard = FiniteGradientHook(max_left_out=1)
    found = run('cirkd', tmp_path, [Poison((2,)), guard], accumulate=2)
    wanted = run('cirkd', tmp_path, [Omit((2, 3))], accumulate=2)
    for key, value in wanted.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[key], value), key


def test_more_than_the_budget_stops_the_run(tmp_path: Any) -> None:
    guard = FiniteGradientHook(max_left_out=1)
    words = (
        r'is nan: training stops before the step\. Inputs: .* \(now 0\.01\).*'
        r'\. 1 steps were left out before, as many as max_left_out=1 of '
    )
    with pytest.raises(FloatingPointError, match=words):
        run('cirkd', tmp_path, [Poison((0, 2)), guard])


def test_a_plain_network_names_losses_and_images(tmp_path: Any) -> None:
    words = (
        r'loss is nan.*Seen: decode.loss_ce is nan, images \(4, 3, 32, '
        r'32\) in \[.*\], 3072 of 12288 not finite\. Lower .*lr \(now 0\.01\)'
    )
    with pytest.raises(FloatingPointError, match=words):
        run(
            'plain_segmentation',
            tmp_path,
            [Poison((1,)), FiniteGradientHook()],
        )


@pytest.mark.parametrize(
    'arguments', [dict(max_left_out=-1), dict(max_left_out=2, interval=5)]
)
def test_arguments_that_do_not_fit(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match='max_left_out=.* set a number'):
        FiniteGradientHook(**arguments)


def test_values_may_be_on_several_devices() -> None:
    """A ramp is a number of the CPU, losses are on the GPU."""
    with FakeTensorMode():
        values = dict(
            ramp=torch.tensor(0.5), loss=torch.zeros((), device='cuda')
        )
        values, complaint = check_losses(values, lambda _: {})
        assert {v.device.type for v in values.values()} == {'cpu'}
        assert complaint is None
