from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import NSTLoss
from mmkd.models.losses.feature_pair_loss import pool_to_smaller
from mmkd.registry import MODELS
from tests.references import cls_baselines_b


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_golden(golden, dtype):
    case = golden('cls_baselines', 'nst')
    student, teacher = (
        [torch.tensor(case[f'{side}{k}'], dtype=dtype) for k in range(3)]
        for side in 'st'
    )
    for maps in student:
        maps.requires_grad_()
    loss = NSTLoss()(student, teacher)
    loss.backward()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(float(case['loss_total']), rel=1e-5)
    for k in range(3):
        expected = torch.tensor(case[f'grad_s{k}'], dtype=dtype)
        torch.testing.assert_close(
            student[k].grad, expected, rtol=1e-4, atol=1e-7
        )
        single = NSTLoss()(student[k], teacher[k]).item()
        assert single == pytest.approx(case['loss_per_stage'][k], rel=1e-5)


@pytest.mark.parametrize(
    ('student', 'teacher'),
    [
        ((3, 4, 6, 5), (3, 7, 6, 5)),  # few channels
        ((3, 14, 2, 3), (3, 9, 2, 3)),  # few positions
        ((2, 8, 4, 4), (2, 6, 2, 2)),
        ((2, 8, 2, 2), (2, 6, 4, 4)),
    ],
)
def test_equals_all_pairs(student, teacher):
    s = torch.randn(student, dtype=torch.float64, requires_grad=True)
    t = torch.randn(teacher, dtype=torch.float64)
    ours = NSTLoss()(s, t)
    plain = cls_baselines_b.nst(*pool_to_smaller(s, t))
    grads = [torch.autograd.grad(loss, s)[0] for loss in (ours, plain)]
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('size', [(8, 3, 3), (3, 6, 6)])
def test_zero_and_invariances(size):
    s, t = torch.randn(2, 2, *size, dtype=torch.float64).unbind()
    loss = NSTLoss()
    assert loss(s, s).abs() < 1e-12
    value = loss(s, t)
    assert value > 1e-3
    torch.testing.assert_close(loss(3 * s, t), value)
    torch.testing.assert_close(loss(s.flip(1), t), value)
    torch.testing.assert_close(loss(s.flip(2, 3), t.flip(2, 3)), value)
    torch.testing.assert_close(NSTLoss(50.0)(s, t), 50 * value)


def test_teacher_is_detached_and_dead_channels_are_harmless():
    s = torch.randn(2, 4, 3, 3)
    s[:, 0] = 0
    s.requires_grad_()
    t = torch.zeros(2, 5, 3, 3, requires_grad=True)
    NSTLoss()(s, t).backward()
    assert t.grad is None
    assert s.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    s, t = (100 * torch.randn(2, 2, 4, 5, 5)).to(dtype).unbind()
    loss = NSTLoss()(s.requires_grad_(), t)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, NSTLoss()(s.float(), t.float()))


def test_messages_and_registry():
    assert isinstance(MODELS.build(dict(type='mmkd.NSTLoss')), NSTLoss)
    with pytest.raises(ValueError, match='NSTLoss: expected maps'):
        NSTLoss()(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ValueError, match='2 student and 1 teacher'):
        NSTLoss()([torch.zeros(1, 2, 2, 2)] * 2, torch.zeros(1, 2, 2, 2))
