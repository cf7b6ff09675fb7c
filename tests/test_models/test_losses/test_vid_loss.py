from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import VIDLoss
from tests.references import feature_losses as reference


def test_golden(golden):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('cls_baselines', 'vid').items()
    }
    student = case['student'].requires_grad_()
    loss = VIDLoss(6, 9)
    torch.testing.assert_close(
        loss.log_scales[0].detach(), case['log_scale_init']
    )
    with torch.no_grad():
        for index, layer in enumerate(loss.regressors[0][::2]):
            layer.weight.copy_(case[f'w{index}'])
    value = loss(student, case['teacher'])
    value.backward()
    torch.testing.assert_close(value.detach(), case['loss'], rtol=1e-5, atol=0)
    for found, key in (
        (student.grad, 'grad_student'),
        (loss.log_scales[0].grad, 'grad_log_scale'),
    ):
        torch.testing.assert_close(found, case[key], rtol=1e-4, atol=1e-7)


def test_equals_loop():
    loss = VIDLoss(3, 5, init_var=2.0).double()
    with torch.no_grad():
        loss.log_scales[0].normal_()
    student = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    teacher = torch.randn(2, 5, 4, 4, dtype=torch.float64)
    mean = loss.regressors[0](student)
    torch.testing.assert_close(
        loss(student, teacher),
        reference.variational(mean, teacher, loss.log_scales[0]),
    )


@pytest.mark.parametrize('init_var', [0.5, 5.0, 60.0])
def test_start_and_training(init_var):
    loss = VIDLoss([3, 4], [5, 6], init_var=init_var)
    variance = functional.softplus(loss.log_scales[1]) + 1e-5
    torch.testing.assert_close(variance, torch.full((6,), init_var))
    students = [torch.randn(2, c, 4, 4) for c in (3, 4)]
    teachers = [torch.randn(2, c, 2, 2) for c in (5, 6)]
    loss(students, teachers).backward()
    assert len(list(loss.parameters())) == 8
    assert all(p.grad.abs().max() > 0 for p in loss.parameters())


def test_mistakes():
    with pytest.raises(ValueError, match='must be equally many'):
        VIDLoss([3, 4], 5)
    with pytest.raises(ValueError, match='init_var=0 must be larger'):
        VIDLoss(3, 5, init_var=0)
    maps = [torch.randn(2, 3, 4, 4)] * 2
    for loss in (VIDLoss(3, 3), VIDLoss([3] * 3, [3] * 3)):
        with pytest.raises(ValueError, match='2 stages, but [13] student_ch'):
            loss(maps, maps)
    with pytest.raises(ValueError, match='student_channels=4, but'):
        VIDLoss(4, 3)(maps[0], maps[0])
