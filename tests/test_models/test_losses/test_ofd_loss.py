from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.heads import BatchNormMargins
from mmkd.models.heads.batch_norm_margins import batch_norm_margin
from mmkd.models.losses import OFDLoss
from mmkd.registry import MODELS
from tests.references import cls_baselines_b


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_golden(golden, dtype):
    case = golden('cls_baselines', 'ofd_feat')
    student, teacher, margin = (
        torch.tensor(case[k], dtype=dtype)
        for k in ('student', 'teacher', 'margin')
    )
    loss = OFDLoss()(student.requires_grad_(), teacher, margin)
    loss.backward()
    assert loss.item() == pytest.approx(float(case['loss']), rel=1e-5)
    torch.testing.assert_close(
        student.grad,
        torch.tensor(case['grad_student'], dtype=dtype),
        rtol=1e-4,
        atol=1e-7,
    )


def test_equals_loop_and_weights_stages():
    sides = torch.randn(2, 3, 2, 4, 3, 3, dtype=torch.float64)
    students, teachers = map(list, sides)
    students[0].requires_grad_()
    margins = list(-torch.rand(3, 1, 4, 1, 1, dtype=torch.float64))
    terms = [
        cls_baselines_b.ofd(*stage)
        for stage in zip(students, teachers, margins, strict=True)
    ]
    ours = OFDLoss(loss_weight=2.0)(students, teachers, margins)
    loop = 2 * (terms[0] / 4 + terms[1] / 2 + terms[2])
    torch.testing.assert_close(ours, loop)
    grads = [torch.autograd.grad(v, students[0])[0] for v in (ours, loop)]
    torch.testing.assert_close(*grads)


def test_below_the_margin_nothing_counts():
    margin = torch.full((1, 1, 1, 1), -1.0)
    values = torch.tensor([-5.0, -1.0, -0.5, 2.0])
    teacher = torch.tensor([-3.0, -3.0, -3.0, 1.0])
    loss = OFDLoss()(values.view(1, 1, 2, 2), teacher.view(1, 1, 2, 2), margin)
    assert loss.item() == pytest.approx(0.5**2 + 1)


def test_connectors_are_trained_and_the_teacher_is_not():
    loss = MODELS.build(
        dict(
            type='mmkd.OFDLoss',
            student_channels=[2, 3],
            teacher_channels=[4, 5],
        )
    )
    students = [torch.randn(2, 2, 4, 4), torch.randn(2, 3, 2, 2)]
    teachers = [
        torch.randn(2, 4, 4, 4, requires_grad=True),
        torch.randn(2, 5, 4, 4, requires_grad=True),
    ]
    margins = [torch.full((1, c, 1, 1), -0.5) for c in (4, 5)]
    loss(students, teachers, margins).backward()
    assert all(p.grad is not None for p in loss.parameters())
    assert all(t.grad is None for t in teachers)


@pytest.mark.parametrize(
    ('weight', 'bias'), [(1.0, 0.0), (-0.5, 0.7), (2.0, -3.0), (0.3, 0.6)]
)
def test_margin_is_the_mean_of_the_negative_part(weight, bias):
    margin = batch_norm_margin(
        torch.tensor([weight]).double(), torch.tensor([bias]).double()
    )
    expected = cls_baselines_b.negative_mean(weight, bias)
    assert margin.shape == (1, 1, 1, 1)
    assert margin.item() == pytest.approx(expected, rel=1e-5)


def test_margins_of_rarely_negative_and_dead_channels():
    weight = torch.tensor([0.1, 0.0, 0.0])
    bias = torch.tensor([1.0, -2.0, 0.0])
    margin = batch_norm_margin(weight, bias).flatten().tolist()
    assert margin == pytest.approx([-0.3, -2.0, 0.0], abs=1e-6)


def test_margins_of_a_backbone():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    head = BatchNormMargins(['1'], backbone)
    (margin,) = head(torch.zeros(1))
    assert margin.shape == (1, 4, 1, 1)
    assert not head.state_dict()
    torch.testing.assert_close(
        margin.flatten(), torch.full((4,), -((2 / torch.pi) ** 0.5))
    )
    with pytest.raises(ValueError, match='"0", a Conv2d'):
        BatchNormMargins(['0'], backbone)
    with pytest.raises(KeyError, match='no such module'):
        BatchNormMargins(['bn'], backbone)
    with pytest.raises(ValueError, match='no backbone'):
        BatchNormMargins(['1'])


def test_connectors_start_from_the_published_distribution():
    conv, norm = OFDLoss([128], [512]).connectors[0]
    std = conv.weight.std().item()
    assert std == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert conv.weight.mean().abs() < 1e-3
    assert bool((norm.weight == 1).all())


def test_messages():
    maps = torch.zeros(2, 3, 4, 4)
    margin = torch.zeros(1, 3, 1, 1)
    with pytest.raises(ValueError, match='margin has 1 entries for 2 stages'):
        OFDLoss()([maps] * 2, [maps] * 2, margin)
    with pytest.raises(ValueError, match='student_channels has 1 entries'):
        OFDLoss(3, 3)([maps] * 2, [maps] * 2, [margin] * 2)
    with pytest.raises(ValueError, match=r'student_channels\[0\]=5'):
        OFDLoss(5, 3)(maps, maps, margin)
    with pytest.raises(ValueError, match='3 student and 4 teacher channels'):
        OFDLoss()(maps, torch.zeros(2, 4, 4, 4), margin)
    with pytest.raises(ValueError, match='equally many'):
        OFDLoss([3], None)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    s, t = (50 * torch.randn(2, 2, 3, 4, 4)).to(dtype).unbind()
    margin = torch.full((1, 3, 1, 1), -1.0)
    value = OFDLoss()(s, t, margin)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, OFDLoss()(s.float(), t.float(), margin))
