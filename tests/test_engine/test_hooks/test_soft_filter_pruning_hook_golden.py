"""Whole trainings against the authors' masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from tests.support.pruning_runner import CONVS, Batches, Net, make_runner


class Trajectory(Hook):
    """Compares every epoch with the golden case."""

    def __init__(self, case, tolerance: float) -> None:
        self.case, self.tolerance = case, tolerance
        self.compared = 0

    def same(self, key: str, value: torch.Tensor) -> None:
        np.testing.assert_allclose(
            value.detach().numpy(),
            self.case[key],
            rtol=0,
            atol=self.tolerance,
            err_msg=key,
        )
        self.compared += 1

    def parameters(self, runner, prefix: str) -> None:
        for name, value in runner.model.named_parameters():
            if f'{prefix}.{name}' in self.case:
                self.same(f'{prefix}.{name}', value)


class Before(Trajectory):
    priority = 'NORMAL'  # before the mask

    def after_train_epoch(self, runner) -> None:
        self.parameters(runner, f'epoch{runner.epoch}.before')


class After(Trajectory):
    priority = 'VERY_LOW'

    def before_train(self, runner) -> None:
        self.parameters(runner, 'premask')

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ) -> None:
        expected = self.case['losses'][runner.iter]
        assert float(outputs['loss'].detach()) == pytest.approx(
            expected, abs=self.tolerance
        )

    def after_train_epoch(self, runner) -> None:
        t = runner.epoch
        self.parameters(runner, f'epoch{t}.after')
        alpha, rate, _ = self.case['schedule_alpha_rate_lambda'][t]
        scalars = runner.message_hub.log_scalars
        assert scalars['pruning/rate'].current() == pytest.approx(rate)
        assert scalars['pruning/alpha'].current() == pytest.approx(alpha)
        model = runner.model.eval()
        with torch.no_grad():
            inputs = torch.from_numpy(self.case['inputs'][0, 0])
            logits = torch.stack(model(inputs, mode='predict'))
        self.same(f'epoch{t}.eval_logits', logits)
        model.train()


@pytest.mark.parametrize(
    ('method', 'rate', 'tolerance'),
    [('sfp', 0.3, 1e-9), ('asrfp', 0.5, 1e-5)],
)
def test_trajectory(golden, tmp_path, method, rate, tolerance) -> None:
    case = golden('softer_filter_pruning', f'trajectory_{method}')
    epochs = len(case['inputs'])
    model = Net()
    for name, value in model.state_dict().items():
        if f'init.{name}' in case:
            value.copy_(torch.from_numpy(case[f'init.{name}']))
    data = Batches(
        torch.from_numpy(case['inputs']), torch.from_numpy(case['labels'])
    )
    before, after = Before(case, tolerance), After(case, tolerance)
    runner = make_runner(
        tmp_path,
        dict(method=method, pruning_rate=rate, mask_before_train=True),
        epochs=epochs,
        model=model,
        data=data,
        hooks=[before, after],
    )
    runner.train()
    assert before.compared >= 3 * epochs
    assert after.compared >= 4 * epochs
    for name in CONVS:
        buffer = runner.optim_wrapper.optimizer.state[
            model.get_parameter(f'{name}.weight')
        ]['momentum_buffer']
        after.same(f'final_momentum.{name}', buffer)
    for name, value in model.named_buffers():
        if 'running' in name:
            after.same(f'final.{name}', value)
