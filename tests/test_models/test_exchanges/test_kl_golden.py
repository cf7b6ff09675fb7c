"""The transfer loss against the online baselines' published code."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import KLDivLoss
from tests.references import okd_baselines as reference


@pytest.mark.parametrize('name', ['kl_T1', 'kl_T3'])
@pytest.mark.parametrize(('suffix', 'eps'), [('', 0.0), ('_eps1e7', 1e-7)])
def test_value_and_both_gradients(golden, assert_close, name, suffix, eps):
    case = golden('okd_baselines', name)
    student = torch.from_numpy(case['student_logit']).requires_grad_()
    target = torch.from_numpy(case['target_logit']).requires_grad_()
    loss = KLDivLoss(
        float(case['temperature']), target_epsilon=eps, detach_target=False
    )(student, target)
    loss.backward()
    assert_close(loss, case[f'loss{suffix}'])
    assert_close(student.grad, case[f'grad_student{suffix}'], 1e-4, 1e-6)
    assert_close(target.grad, case[f'grad_target{suffix}'], 1e-4, 1e-6)
    assert target.grad.abs().max() > 1e-3


def test_hintons_form(golden, assert_close):
    case = golden('okd_baselines', 'formula_kd')
    student = torch.from_numpy(case['student_logit']).requires_grad_()
    teacher = torch.from_numpy(case['teacher_logit'])
    labels = torch.from_numpy(case['target'])
    kd = KLDivLoss(
        float(case['temperature']), loss_weight=float(case['weight_kd'])
    )
    entropy = functional.cross_entropy(student, labels)
    loss = float(case['weight_ce']) * entropy + kd(student, teacher)
    loss.backward()
    assert_close(loss, case['loss'], 1e-10, 0)
    assert_close(student.grad, case['grad_student'], 1e-9, 1e-12)


def test_equals_the_loop():
    student = torch.randn(3, 5, dtype=torch.float64)
    target = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(
        KLDivLoss(3.0)(student, target), reference.kd(student, target, 3.0)
    )
