"""Runs stop before a step with a non-finite gradient."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd.checkpoints.last import describe_last, fault
from mmkd.cli.training import train
from mmkd.engine.hooks import FiniteGradientHook
from mmkd.engine.hooks.finite_gradient_hook import SKIPPED, total_norm
from mmkd.engine.hooks.safe_checkpoint_hook import make_checkpoints_safe
from tests.support.pruning_runner import Net, make_runner, random_batches

PRUNING = dict(method='sfp', pruning_rate=0.3)


class BadGradient(torch.autograd.Function):
    """Finite, and a gradient that is not."""

    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * math.nan


class Breaks(Net):
    """A network whose gradient below ``fc`` is NaN from one call on."""

    def __init__(self, call: int, loss: float = 1.0) -> None:
        super().__init__()
        self.call, self.factor, self.calls = call, loss, 0

    def forward(self, inputs, labels=None, mode=None):
        self.calls += 1
        if self.calls < self.call or mode != 'loss':
            return super().forward(inputs, labels, mode)
        x = self.norm0(self.conv0(inputs)).relu()
        logits = self.fc(
            BadGradient.apply(x).repeat(1, 2, 1, 1)[:, :10].mean((2, 3))
        )
        loss = nn.functional.cross_entropy(logits, labels)
        return dict(loss=loss * self.factor)


class Spy(Hook):
    """Keeps the weights of the last step."""

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ):
        state = runner.model.state_dict()
        self.weights = {k: v.clone() for k, v in state.items()}


def runner_of(folder, model, **changes):
    spy = Spy()
    runner = make_runner(folder, PRUNING, model=model, hooks=[spy], **changes)
    make_checkpoints_safe(runner)
    runner.register_hook(FiniteGradientHook())
    return runner, spy


def test_stops_before_the_step_and_names_parameters(tmp_path):
    model = Breaks(call=6)  # the second step of the third epoch
    runner, spy = runner_of(tmp_path, model)
    with pytest.raises(FloatingPointError) as stopped:
        train(runner)
    text = str(stopped.value)
    assert 'the gradient is not finite (the loss is ' in text
    assert ': conv0.weight, norm0.weight, norm0.bias: training stops' in text
    assert 'Lower optim_wrapper.optimizer.lr (now 0.1)' in text
    last = tmp_path / 'epoch_2.pth'
    assert f'The last intact checkpoint is {last} (read again)' in text
    for name, value in model.named_parameters():
        assert torch.equal(value, spy.weights[name])


def test_the_cause_is_named_although_gradients_are_clipped(tmp_path):
    runner, _ = runner_of(
        tmp_path,
        Breaks(call=1),
        optim_wrapper=dict(clip_grad=dict(max_norm=1.0)),
    )
    words = 'conv0.weight, norm0.weight, norm0.bias: .* no checkpoint yet'
    with pytest.raises(FloatingPointError, match=words):
        train(runner)


def test_a_loss_that_is_not_finite_stops_plain_networks(tmp_path):
    runner, _ = runner_of(tmp_path, Breaks(call=3, loss=math.inf))
    words = r'the loss is inf\): .* and 2 more: training stops'
    with pytest.raises(FloatingPointError, match=words):
        train(runner)


def test_weights_that_overflow_are_not_saved(tmp_path):
    class Overflows(Hook):
        def after_train_iter(
            self, runner, batch_idx, data_batch=None, outputs=None
        ):
            if runner.iter == 3:  # the last step of epoch 2
                runner.model.conv1.weight.data[0] = math.inf

    runner, _ = runner_of(tmp_path, Net(), custom_hooks=[random_batches(5)])
    runner.register_hook(Overflows(), 'VERY_HIGH')
    with pytest.raises(FloatingPointError) as stopped:
        train(runner)
    assert 'conv1.weight of the model are not finite: nothing is saved' in str(
        stopped.value
    )
    assert f'checkpoint is {tmp_path / "epoch_1.pth"}' in str(stopped.value)
    assert not (tmp_path / 'epoch_2.pth').exists()


def test_good_runs_give_the_same_weights(tmp_path):
    found = []
    for name, hooks in (('with', [FiniteGradientHook()]), ('without', [])):
        runner = make_runner(tmp_path / name, PRUNING, hooks=hooks)
        runner.train()
        found.append(runner.model.state_dict())
        assert 'backward' not in vars(runner.optim_wrapper)
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])


def test_can_be_switched_off(tmp_path):
    runner = make_runner(
        tmp_path,
        PRUNING,
        model=Breaks(call=3),
        epochs=1,
        hooks=[FiniteGradientHook(interval=-1)],
    )
    runner.train()
    assert runner.epoch == 1  # to the end, with what broke


class Scaler:
    """A loss scaler that leaves out steps with bad gradients."""

    def step(self, optimizer, **kwargs):
        params = optimizer.param_groups[0]['params']
        if all(p.grad.isfinite().all() for p in params if p.grad is not None):
            optimizer.step(**kwargs)


class ScaledWrapper(OptimWrapper):
    """As mmengine's for mixed precision."""

    def __init__(self, optimizer):
        super().__init__(optimizer)
        self.loss_scaler = Scaler()

    def step(self, **kwargs):
        self.loss_scaler.step(self.optimizer, **kwargs)


def scaled_run(bad, steps):
    """Run steps of one weight; ``bad(k)`` says which gradient is NaN."""
    model = nn.Linear(1, 1)
    wrapper = ScaledWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    hook = FiniteGradientHook()

    class Run:
        optim_wrapper = wrapper

    Run.model = model
    hook.before_train(Run)
    for k in range(steps):
        loss = model(torch.ones(1, 1)).sum()
        wrapper.update_params(BadGradient.apply(loss) if bad(k) else loss)
    hook.after_train(Run)
    return model


def test_steps_that_a_scaler_leaves_out_are_no_fault():
    model = scaled_run(lambda k: k % SKIPPED != 0, 3 * SKIPPED)
    assert model.weight.isfinite().all()


def test_a_scaler_that_leaves_out_all_steps_stops_the_run():
    with pytest.raises(FloatingPointError, match=f'in {SKIPPED} steps in a'):
        scaled_run(lambda k: k > 10, 3 * SKIPPED)


def test_norm_of_all_gradients():
    tensors = [torch.randn(3, 4), torch.randn(5), torch.zeros(0)]
    flat = torch.cat([t.flatten() for t in tensors])
    assert total_norm(tensors) == pytest.approx(float(flat.norm()))
    mixed = [torch.ones(3, dtype=torch.float64), torch.ones(1).half()]
    assert total_norm(mixed) == pytest.approx(2.0)
    sparse = torch.sparse_coo_tensor([[0, 2]], [3.0, 4.0], (4,))
    assert total_norm([sparse]) == pytest.approx(5.0)
    assert total_norm([]) == 0.0
    large = [torch.full((1,), 3e38), torch.full((1,), 3e38)]
    assert math.isfinite(total_norm(large))
    assert math.isnan(total_norm([torch.tensor([1.0, math.nan])]))


def test_last_checkpoint_is_read_again(tmp_path):
    good, cut, nan = (tmp_path / f'{n}.pth' for n in ('good', 'cut', 'nan'))
    weight = torch.ones(2, 2)
    torch.save(dict(state_dict={'fc.weight': weight}), good)
    cut.write_bytes(good.read_bytes()[:400])
    torch.save(dict(state_dict={'fc.weight': weight / 0}), nan)
    mask = {'fc.weight': weight, 'attention.mask': weight / 0}
    torch.save(dict(state_dict=mask), tmp_path / 'mask.pth')
    assert fault(tmp_path / 'mask.pth') is None
    text = describe_last([cut, nan, good])
    assert text.startswith(f'The last intact checkpoint is {good} ')
    assert f'"{cut}" cannot be read' in text
    assert f'{nan} holds what is not finite: fc.weight' in text
    assert 'No checkpoint of this run is intact' in describe_last([nan])
    assert describe_last([]) == 'This run has saved no checkpoint yet'
