"""Adversarial distillation: golden scores, its phase, its mistakes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.models.heads import SelfAttentionDiscriminator
from mmkd.models.losses import AdversarialLoss


@pytest.mark.parametrize('mode', ['hinge', 'wgan-gp'])
def test_golden_losses_of_scores(golden: Any, mode: str) -> None:
    case = golden('seg_baselines', '03_adversarial_losses')
    key = mode.replace('-', '_')
    loss = AdversarialLoss(mode)
    fake, real = (
        torch.from_numpy(case[f'd_{side}']).requires_grad_()
        for side in ('student', 'teacher')
    )
    value = loss.generator(fake)
    (grad,) = torch.autograd.grad(value, fake)
    wanted = torch.from_numpy(case[f'{key}_grad_generator'])
    torch.testing.assert_close(grad, wanted)
    assert value.item() == pytest.approx(
        float(case[f'{key}_loss_generator']), rel=1e-5
    )
    value = loss.discriminator(fake, real)
    value.backward()
    assert value.item() == pytest.approx(
        float(case[f'{key}_loss_discriminator']), rel=1e-5
    )
    for side, scores in dict(student=fake, teacher=real).items():
        wanted = torch.from_numpy(case[f'{key}_grad_d_{side}'])
        torch.testing.assert_close(scores.grad, wanted)


def small_judge(channels: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 2)
    )


def logits(channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, 6, 7, dtype=torch.float64)


def test_gradients_stay_on_their_side() -> None:
    loss = AdversarialLoss(discriminator=small_judge()).double()
    student, teacher = logits().requires_grad_(), logits().requires_grad_()
    loss.phase_losses('discriminator', student, teacher).backward()
    assert student.grad is None and teacher.grad is None
    assert loss.judge[0].weight.grad.abs().sum() > 0
    loss(student, teacher).backward()
    assert student.grad.abs().sum() > 0 and teacher.grad is None


def test_a_sure_discriminator_has_no_loss() -> None:
    loss = AdversarialLoss()
    fake, real = torch.full((2, 1), -1.5), torch.full((2, 1), 1.0)
    assert loss.discriminator(fake, real) == 0
    assert loss.generator(fake) == 1.5


def test_gradient_penalty_by_hand() -> None:
    loss = AdversarialLoss(
        'wgan-gp', discriminator=small_judge(), discriminator_weight=0.5
    ).double()
    student, teacher = logits(), logits()
    torch.manual_seed(3)
    value = loss.phase_losses('discriminator', student, teacher)
    torch.manual_seed(3)
    share = torch.rand(2, 1, 1, 1).double()
    penalty = 0.0
    for k in range(2):
        z = share[k] * teacher[k] + (1 - share[k]) * student[k]
        z.requires_grad_()
        (grad,) = torch.autograd.grad(loss.judge(z[None]).sum(), z)
        penalty += (grad.norm() - 1).square() / 2
    plain = loss.judge(student).mean() - loss.judge(teacher).mean()
    torch.testing.assert_close(value, 0.5 * (plain + 10 * penalty))
    value.backward()
    assert loss.judge[0].weight.grad.isfinite().all()


def test_weights_of_zero_compute_nothing() -> None:
    calls = []
    judge = small_judge().double()
    judge.register_forward_hook(lambda *args: calls.append(1))
    student, teacher = logits().requires_grad_(), logits()
    off = AdversarialLoss('hinge', 0, 0, discriminator=judge)
    assert off.phases == () and off.judge is None
    assert off(student, teacher) == 0
    alone = AdversarialLoss('hinge', 0, 1, discriminator=judge)
    assert alone.phases == ('discriminator',)
    assert alone(student, teacher) == 0 and not calls
    alone.phase_losses('discriminator', student, teacher)
    assert len(calls) == 2


def test_evaluation_leaves_the_discriminator_as_it_is() -> None:
    loss = AdversarialLoss(discriminator=SelfAttentionDiscriminator(2))
    before = copy.deepcopy(loss.state_dict())
    student = torch.randn(1, 2, 64, 64)
    loss.eval()(student, student)
    for name, value in loss.state_dict().items():
        assert torch.equal(value, before[name]), name
    loss.train()(student, student)
    assert not torch.equal(loss.judge.conv1.u, before['judge.conv1.u'])


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda: AdversarialLoss('gan'), "mode='gan' is unknown"),
        (lambda: AdversarialLoss('hinge', 1, 0), 'never learns; set both'),
        (
            lambda: AdversarialLoss()(logits(), logits()),
            'discriminator=None; give discriminator=',
        ),
        (
            lambda: AdversarialLoss(discriminator=small_judge())(
                logits(3), logits(5)
            ),
            'teacher predicts 5 classes, student 3',
        ),
    ],
)
def test_mistakes(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
