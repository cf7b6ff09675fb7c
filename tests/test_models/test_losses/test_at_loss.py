from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import ATLoss
from tests.references import feature_losses as reference


def test_golden(golden):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('cls_baselines', 'at').items()
    }
    students = [case[f's{k}'].requires_grad_() for k in range(3)]
    teachers = [case[f't{k}'] for k in range(3)]
    stages = [ATLoss()(*pair) for pair in zip(students, teachers, strict=True)]
    torch.testing.assert_close(
        torch.stack(stages), case['loss_per_stage'], rtol=1e-5, atol=0
    )
    total = ATLoss()(students, teachers)
    total.backward()
    torch.testing.assert_close(
        total.detach(), case['loss_total'], rtol=1e-5, atol=0
    )
    for k, student in enumerate(students):
        torch.testing.assert_close(
            student.grad, case[f'grad_s{k}'], rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize('p', [1, 2, 3])
def test_equals_loop(p):
    student = torch.randn(3, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 5, 2, 3, dtype=torch.float64)
    both = [
        ATLoss(p=p)(student, teacher),
        reference.attention(student, teacher, p),
    ]
    torch.testing.assert_close(*both)
    grads = [torch.autograd.grad(loss, student)[0] for loss in both]
    torch.testing.assert_close(*grads)


def test_segmentation_refuses_other_sizes():
    student, teacher = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4)
    assert ATLoss()(student, teacher) > 0
    with pytest.raises(ValueError, match='set pool=True'):
        ATLoss(pool=False)(student, teacher)
    torch.testing.assert_close(
        ATLoss(pool=False)(student, student * 2 + 1),
        ATLoss()(student, student * 2 + 1),
    )


def test_wrong_power():
    with pytest.raises(ValueError, match='p=0 must be positive'):
        ATLoss(p=0)
