from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import ReviewKDLoss
from mmkd.models.necks import ReviewFusion
from mmkd.registry import MODELS
from tests.references import cls_baselines_b

FUSION = dict(
    type='mmkd.ReviewFusion',
    student_channels=(3, 4, 6, 6),
    teacher_channels=(5, 7, 9, 9),
)


def stages(channels, sizes=(8, 4, 2)):
    """Stages and, last, the pooled vector."""
    maps = [
        torch.randn(3, c, s, s) for c, s in zip(channels, sizes, strict=False)
    ]
    return [*maps, torch.randn(3, channels[-1])]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_golden(golden, dtype):
    case = golden('cls_baselines', 'reviewkd_hcl')
    student, teacher = (
        [torch.tensor(case[f'{side}{k}'], dtype=dtype) for k in range(3)]
        for side in 'st'
    )
    for maps in student:
        maps.requires_grad_()
    loss = ReviewKDLoss().hcl(student, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(float(case['loss_total']), rel=1e-5)
    for k in range(3):
        expected = torch.tensor(case[f'grad_s{k}'], dtype=dtype)
        torch.testing.assert_close(
            student[k].grad, expected, rtol=1e-4, atol=1e-7
        )
    assert ReviewKDLoss()(student, teacher).item() == loss.item()


def test_equals_loop():
    sides = [
        [torch.randn(2, 3, s, s, dtype=torch.float64) for s in (16, 8, 4, 1)]
        for _ in range(2)
    ]
    ours, loop = ReviewKDLoss().hcl(*sides), cls_baselines_b.hcl(*sides)
    torch.testing.assert_close(ours, loop)
    assert ReviewKDLoss().hcl(sides[0], sides[0]) == 0


def test_fusion_reaches_all_stages_and_is_trained():
    loss = MODELS.build(
        dict(type='mmkd.ReviewKDLoss', fusion=FUSION, warmup_epochs=4)
    )
    student = [maps.requires_grad_() for maps in stages((3, 4, 6))]
    teacher = [maps.requires_grad_() for maps in stages((5, 7, 9), (4, 4, 4))]
    value = loss(student, teacher, epoch=0)
    value.backward()
    full = loss(student, teacher)
    torch.testing.assert_close(value, 0.25 * full)
    for maps in student:
        assert maps.grad.abs().sum() > 0
    assert all(maps.grad is None for maps in teacher)
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None, name


def test_fusion_by_hand():
    """Two stages; batch norms as identities, weights as they fall."""
    fusion = ReviewFusion((2, 3), (4, 5), mid_channels=2).eval()
    for module in fusion.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0
    shallow, deep = torch.randn(1, 2, 4, 4), torch.randn(1, 3, 1, 1)
    out = fusion([shallow, deep], [(2, 2), (1, 1)])
    assert [tuple(m.shape) for m in out] == [(1, 4, 2, 2), (1, 5, 1, 1)]
    conv = torch.nn.functional.conv2d
    m = conv(deep, fusion.reduce[1][0].weight)
    torch.testing.assert_close(
        out[1], conv(m, fusion.expand[1][0].weight, padding=1)
    )
    x = conv(shallow, fusion.reduce[0][0].weight)
    up = m.expand(-1, -1, 4, 4)
    attend = fusion.attend[0][0]
    shares = conv(torch.cat([x, up], 1), attend.weight, attend.bias).sigmoid()
    m = shares[:, [0]] * x + shares[:, [1]] * up
    torch.testing.assert_close(
        out[0],
        conv(m[:, :, ::2, ::2], fusion.expand[0][0].weight, padding=1),
    )


def test_middle_width_is_limited():
    assert ReviewFusion((8, 1280), (4, 4)).reduce[0][0].out_channels == 512
    assert ReviewFusion((8, 64), (4, 4)).reduce[0][0].out_channels == 64


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    loss = ReviewKDLoss(FUSION).eval()
    student = [maps.to(dtype) for maps in stages((3, 4, 6))]
    teacher = [maps.to(dtype) for maps in stages((5, 7, 9))]
    value = loss(student, teacher)
    assert value.dtype == torch.float32
    expected = loss(*([m.float() for m in s] for s in (student, teacher)))
    torch.testing.assert_close(value, expected)


def test_messages():
    student, teacher = stages((3, 4, 6)), stages((5, 7, 9))
    with pytest.raises(ValueError, match='stage 0 of the student is'):
        ReviewKDLoss()(student, teacher)
    with pytest.raises(ValueError, match=r'stages of \(3, 4, 6\) channels'):
        ReviewKDLoss(FUSION)(student[:3], teacher)
    with pytest.raises(ValueError, match='equally many, at least one'):
        ReviewFusion((1, 2), (3,))
