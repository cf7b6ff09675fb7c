from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.losses import ABLoss
from tests.references import feature_losses as reference


def test_golden(golden):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('cls_baselines', 'ab').items()
    }
    students = [case[f's{k}'].requires_grad_() for k in range(3)]
    teachers = [case[f't{k}'] for k in range(3)]
    loss = ABLoss()
    stages = torch.stack(loss.terms(loss.pairs(students, teachers)))
    torch.testing.assert_close(
        stages, case['loss_per_stage'], rtol=1e-5, atol=0
    )
    total = loss(students, teachers)
    total.backward()
    torch.testing.assert_close(
        total.detach(), case['loss_total'], rtol=1e-5, atol=0
    )
    for k, student in enumerate(students):
        torch.testing.assert_close(
            student.grad, case[f'grad_s{k}'], rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize('margin', [0.5, 1.0])
def test_equals_loop(margin):
    student = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 3, 2, 2, dtype=torch.float64).relu()
    both = [
        ABLoss(margin)(student, teacher) * 1000 / 3,
        reference.boundary(student, teacher, margin),
    ]
    torch.testing.assert_close(*both)
    grads = [torch.autograd.grad(loss, student)[0] for loss in both]
    torch.testing.assert_close(*grads)


def test_teacher_behind_its_relu_is_the_same():
    student, teacher = torch.randn(2, 2, 3, 4, 4)
    torch.testing.assert_close(
        ABLoss()(student, teacher), ABLoss()(student, teacher.relu())
    )


def test_connectors():
    loss = ABLoss(
        student_channels=[3, 4, 5],
        teacher_channels=[3, 6, 6],
        student_sizes=[[8, 8], 8, 2],
        teacher_sizes=[8, 4, (4, 4)],
    )
    first, second, third = loss.connectors
    assert isinstance(first, nn.Identity)
    assert second.conv.stride == (2, 2) and not hasattr(second, 'relu')
    assert isinstance(third.conv, nn.ConvTranspose2d)
    students = [torch.randn(2, c, s, s) for c, s in ((3, 8), (4, 8), (5, 2))]
    teachers = [torch.randn(2, c, s, s) for c, s in ((3, 8), (6, 4), (6, 4))]
    connected = [m(s) for m, s in zip(loss.connectors, students, strict=True)]
    value = loss(students, teachers)
    torch.testing.assert_close(value, ABLoss()(connected, teachers))
    value.backward()
    assert all(p.grad is not None for p in loss.parameters())


def test_mistakes():
    with pytest.raises(ValueError, match='margin=0 must be positive'):
        ABLoss(margin=0)
    with pytest.raises(ValueError, match='give all of these'):
        ABLoss(student_channels=[3], teacher_channels=[3])
    student, teacher = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4)
    with pytest.raises(ValueError, match='differ in stage 1; give'):
        ABLoss()(student, teacher)
    loss = ABLoss(1.0, [3], [5], [4], [4])
    with pytest.raises(ValueError, match='2 stages, but channels and sizes'):
        loss([student] * 2, [teacher] * 2)
