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


LEVELS = dict(student_channels=[3, 4], teacher_channels=[5, 6])


def pyramids():
    student = [torch.randn(2, 3, 8, 8), torch.randn(2, 4, 4, 4)]
    teacher = [torch.randn(2, 5, 8, 8), torch.randn(2, 6, 4, 4)]
    return student, teacher


def test_a_regressor_per_level():
    student, teacher = pyramids()
    loss = FitNetLoss(**LEVELS, loss_weight=2.0)
    assert {k: v.shape for k, v in loss.state_dict().items()} == {
        'regressor.0.weight': (5, 3, 1, 1),
        'regressor.1.weight': (6, 4, 1, 1),
    }
    expected = sum(
        functional.mse_loss(functional.conv2d(s, regressor.weight), t)
        for s, t, regressor in zip(
            student, teacher, loss.regressor, strict=True
        )
    )
    torch.testing.assert_close(loss(student, teacher), 2 * expected)


def test_levels_of_other_sizes():
    student, teacher = pyramids()
    teacher[0] = torch.randn(2, 5, 4, 4)
    loss = FitNetLoss(
        **LEVELS, student_size=[8, (4, 4)], teacher_size=[4, (4, 4)]
    )
    shapes = {k: tuple(v.shape) for k, v in loss.state_dict().items()}
    assert shapes['regressor.0.conv.weight'] == (5, 3, 3, 3)
    assert shapes['regressor.1.conv.weight'] == (6, 4, 1, 1)
    assert loss(student, teacher).requires_grad


def test_one_number_is_one_regressor_for_all_levels():
    student, teacher = torch.randn(2, 2, 3, 4, 4).unbind()
    shared = FitNetLoss(3, 3)
    assert list(shared.state_dict()) == ['regressor.weight']
    torch.testing.assert_close(
        shared([student] * 2, [teacher] * 2), 2 * shared(student, teacher)
    )
    single = FitNetLoss([3], [3], student_size=[4], teacher_size=[(4, 4)])
    assert 'regressor.conv.weight' in single.state_dict()


@pytest.mark.parametrize(
    'settings',
    [
        dict(student_channels=[3, 4], teacher_channels=[5, 6, 7]),
        dict(student_channels=[3, 4], teacher_channels=5),
        dict(LEVELS, student_size=8, teacher_size=8),
        dict(student_channels=[], teacher_channels=[]),
    ],
)
def test_unequally_many_levels(settings):
    with pytest.raises(ValueError, match='one number per level'):
        FitNetLoss(**settings)


def test_levels_that_do_not_fit():
    student, teacher = pyramids()
    with pytest.raises(ValueError, match='1 levels, but 2 student_channels'):
        FitNetLoss(**LEVELS)(student[:1], teacher[:1])
    with pytest.raises(ValueError, match='level 1: student_channels=4, but'):
        FitNetLoss(**LEVELS)([student[0]] * 2, [teacher[0]] * 2)
