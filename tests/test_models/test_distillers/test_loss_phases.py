"""Losses that train a part of their own in a phase of its own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmkd.registry import MODELS
from mmkd.toys import toy_batch
from tests.support.float64 import in_float64


@MODELS.register_module(force=True)
class TinyAdversarialLoss(nn.Module):
    """The student is to look like the teacher to a judge."""

    phases = ('judge',)

    def __init__(self) -> None:
        super().__init__()
        self.judge = nn.Linear(7, 1)
        self.steps = 0

    def forward(self, student: Any, teacher: Any) -> torch.Tensor:
        return -self.judge(student).mean()

    def phase_losses(
        self, phase: str, student: Any, teacher: Any
    ) -> torch.Tensor:
        fake, real = self.judge(student.detach()), self.judge(teacher)
        return (1 + fake).relu().mean() + (1 - real).relu().mean()

    def after_step(self, networks: Any) -> None:
        self.steps += 1


LOSS = dict(type='mmkd.TinyAdversarialLoss', on='logits')
SGD = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
OPTIMIZERS = dict(
    constructor='mmkd.PhasedOptimWrapperConstructor', main=SGD, judge=SGD
)


def raw() -> dict[str, Any]:
    return toy_batch('classification', 4, (32, 32))


def test_step_equals_one_by_hand(build: Any) -> None:
    model = in_float64(build('classification', losses=dict(adv=LOSS)))
    model.train()
    twin = copy.deepcopy(model)
    wrapper = build_optim_wrapper(model, copy.deepcopy(OPTIMIZERS))
    logs = model.train_step(raw(), wrapper)
    assert set(logs) == {
        'loss_task', 'loss_adv', 'loss', 'loss_adv_judge', 'judge'
    }  # fmt: skip

    data = twin.data_preprocessor(raw(), True)
    loss = twin.losses['adv']
    own = twin.student(**data, mode='loss')['loss']
    fake = twin.student.head.fc(
        twin.student.extract_feat(data['inputs'])[0]
    )  # the same features: batch norm in training mode
    real = twin.teachers[0](data['inputs'])
    total = own + loss(fake, real)
    critic = loss.phase_losses('judge', fake, real)
    students = list(twin.student.parameters())
    judges = list(loss.judge.parameters())
    grads = torch.autograd.grad(total, students, retain_graph=True)
    judged = torch.autograd.grad(critic, judges)
    with torch.no_grad():
        for value, grad in zip(students + judges, grads + judged, strict=True):
            value -= 0.1 * grad
    for name, value in twin.named_parameters():
        torch.testing.assert_close(
            model.state_dict()[name], value, rtol=1e-9, atol=1e-11, msg=name
        )
    assert float(logs['judge']) == pytest.approx(float(critic), rel=1e-5)
    assert model.losses['adv'].steps == 1


def test_one_optimizer_for_all_is_refused(build: Any) -> None:
    model = build('classification', losses=dict(adv=LOSS))
    wrapper = build_optim_wrapper(model, dict(SGD))
    with pytest.raises(TypeError, match='trains in the phases main, judge'):
        model.train_step(raw(), wrapper)


def test_phases_of_one_name_are_refused(build: Any) -> None:
    words = (
        r'losses.a \(TinyAdversarialLoss\) and losses.b .* both have a phase '
        '"judge"'
    )
    with pytest.raises(ValueError, match=words):
        build('classification', losses=dict(a=LOSS, b=LOSS))
