from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import FitNetLoss


def test_golden(golden):
    case = golden('cls_baselines', 'fitnet_same')
    student = torch.from_numpy(case['student']).requires_grad_()
    loss = FitNetLoss(6, 9, student_size=8, teacher_size=8)
    conv = loss.regressor.conv
    assert (*conv.kernel_size, *conv.stride, *conv.padding) == (
        *case['kernel'],
        *case['stride'],
        *case['padding'],
    )
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(case['conv_weight']))
        conv.bias.copy_(torch.from_numpy(case['conv_bias']))
    torch.testing.assert_close(
        loss.train().regressor(student), torch.from_numpy(case['regressed'])
    )
    value = loss(student, torch.from_numpy(case['teacher']))
    value.backward()
    assert value.item() == pytest.approx(float(case['loss']), rel=1e-5)
    for found, key in (
        (student.grad, 'grad_student'),
        (conv.weight.grad, 'grad_conv_weight'),
    ):
        torch.testing.assert_close(
            found, torch.from_numpy(case[key]), rtol=1e-4, atol=1e-7
        )


def test_bare_squared_error():
    student, teacher = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    expected = (student - teacher).square().sum() / student.numel()
    torch.testing.assert_close(FitNetLoss()(student, teacher), expected)


def test_segmentation_form():
    student, teacher = torch.randn(2, 3, 4, 5), torch.randn(2, 7, 4, 5)
    loss = FitNetLoss(3, 7, loss_weight=10.0)
    assert {k: v.shape for k, v in loss.state_dict().items()} == {
        'regressor.weight': (7, 3, 1, 1)
    }
    pixels = torch.einsum(
        'oc,nchw->nohw', loss.regressor.weight[:, :, 0, 0], student
    )
    torch.testing.assert_close(
        loss(student, teacher), 10 * functional.mse_loss(pixels, teacher)
    )


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(student_channels=3), 'are incomplete'),
        (dict(student_size=3, teacher_size=3), 'are incomplete'),
        (
            dict(student_channels=3, teacher_channels=3, teacher_size=3),
            'both sizes',
        ),
    ],
)
def test_incomplete_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        FitNetLoss(**settings)


def test_wrong_features():
    student, teacher = torch.randn(2, 3, 4, 4), torch.randn(2, 7, 4, 4)
    with pytest.raises(ValueError, match='set student_channels and teacher'):
        FitNetLoss()(student, teacher)
    with pytest.raises(ValueError, match='student_channels=5, but'):
        FitNetLoss(5, 7)(student, teacher)
    with pytest.raises(ValueError, match=r'become \(2, 6, 4, 4\)'):
        FitNetLoss(3, 6)(student, teacher)
