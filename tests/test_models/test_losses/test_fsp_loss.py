from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import FSPLoss
from tests.references import feature_losses as reference


def test_golden(golden):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('cls_baselines', 'fsp').items()
    }
    students = [case[f's{k}'].requires_grad_() for k in range(3)]
    teachers = [case[f't{k}'] for k in range(3)]
    loss = FSPLoss()
    pairs = torch.stack(loss.terms(loss.pairs(students, teachers)))
    torch.testing.assert_close(pairs, case['loss_per_pair'], rtol=1e-5, atol=0)
    total = loss(students, teachers)
    total.backward()
    torch.testing.assert_close(
        total.detach(), case['loss_total'], rtol=1e-5, atol=0
    )
    for k, student in enumerate(students):
        torch.testing.assert_close(
            student.grad, case[f'grad_s{k}'], rtol=1e-4, atol=1e-7
        )


def test_equals_loop():
    below = [torch.randn(2, 3, 2, 3, dtype=torch.float64) for _ in range(2)]
    above = [torch.randn(2, 4, 2, 3, dtype=torch.float64) for _ in range(2)]
    student = [below[0].requires_grad_(), above[0].requires_grad_()]
    both = [
        FSPLoss()(student, [below[1], above[1]]),
        reference.flow(tuple(below), tuple(above)),
    ]
    torch.testing.assert_close(*both)
    grads = [torch.autograd.grad(loss, student) for loss in both]
    torch.testing.assert_close(*grads)


def test_sizes_may_differ_between_the_networks():
    shapes = [(2, 3, 8, 8), (2, 4, 4, 4)]
    student = [torch.randn(shape) for shape in shapes]
    teacher = [torch.randn(*shape[:2], 6, 6) for shape in shapes]
    assert FSPLoss()(student, teacher) > 0


def test_mistakes():
    maps = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4)]
    with pytest.raises(ValueError, match='1 feature map; give two'):
        FSPLoss()(maps[:1], maps[:1])
    with pytest.raises(ValueError, match='differ in channels'):
        FSPLoss()(maps, maps[::-1])
