from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import KLDivLoss
from mmkd.registry import MODELS
from tests.references import cirkd


def test_golden(golden):
    case = golden('cirkd', '01_kd_pixel_T1')
    student = torch.from_numpy(case['student_logits']).requires_grad_()
    teacher = torch.from_numpy(case['teacher_logits'])
    loss = KLDivLoss(temperature=float(case['temperature']))(student, teacher)
    loss.backward()
    expected = torch.from_numpy(case['grad_student_logits'])
    torch.testing.assert_close(
        loss.item(), float(case['loss']), rtol=1e-5, atol=2e-6
    )
    error = (student.grad - expected).abs().max()
    assert error <= 3e-5 * expected.abs().max()


@pytest.mark.parametrize('shape', [(3, 5), (3, 5, 4), (2, 5, 3, 4)])
@pytest.mark.parametrize('temperature', [1.0, 4.0])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-5)]
)
def test_equals_loop(shape, temperature, dtype, tolerance):
    student = torch.randn(shape, dtype=dtype, requires_grad=True)
    teacher = torch.randn(shape, dtype=dtype)
    ours = KLDivLoss(temperature)(student, teacher)
    loop = cirkd.kl_div(student, teacher, temperature)
    assert ours.dtype == dtype
    grads = [torch.autograd.grad(loss, student)[0] for loss in (ours, loop)]
    torch.testing.assert_close(ours, loop, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(*grads, rtol=tolerance, atol=tolerance)


def test_target_epsilon_is_added_without_renormalising():
    student = torch.randn(4, 6, dtype=torch.float64)
    teacher = torch.randn(4, 6, dtype=torch.float64)
    q = teacher.softmax(1) + 0.01
    expected = (q * (q.log() - student.log_softmax(1))).sum() / 4
    loss = KLDivLoss(target_epsilon=0.01)(student, teacher)
    torch.testing.assert_close(loss, expected)
    assert KLDivLoss()(student, teacher) != loss


def test_equal_logits_give_zero_and_zero_gradient():
    logits = torch.randn(2, 5, 3, 3, requires_grad=True)
    loss = KLDivLoss(2.0)(logits, logits.detach())
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-7)
    assert logits.grad.abs().max() < 1e-7


def test_weight_scales_linearly_and_lists_are_summed():
    pairs = [(torch.randn(2, 5, 3), torch.randn(2, 5, 3)) for _ in range(3)]
    students, teachers = map(list, zip(*pairs, strict=True))
    single = [KLDivLoss()(s, t) for s, t in pairs]
    total = KLDivLoss(loss_weight=0.3)(students, teachers)
    torch.testing.assert_close(total, 0.3 * sum(single))


@pytest.mark.parametrize('detach', [True, False])
def test_gradient_to_the_teacher_only_if_asked(detach):
    student = torch.randn(2, 4, requires_grad=True)
    teacher = torch.randn(2, 4, requires_grad=True)
    KLDivLoss(detach_target=detach)(student, teacher).backward()
    assert (teacher.grad is None) == detach
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    student = (100 * torch.randn(2, 5, 3)).to(dtype).requires_grad_()
    teacher = (100 * torch.randn(2, 5, 3)).to(dtype)
    loss = KLDivLoss()(student, teacher)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite() and student.grad.isfinite().all()
    expected = KLDivLoss()(student.detach().float(), teacher.float())
    torch.testing.assert_close(loss.detach(), expected)


def test_extreme_logits_are_finite():
    student = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = KLDivLoss()(student, -student.detach())
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


def test_gradcheck():
    student = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    loss = KLDivLoss(3.0, target_epsilon=1e-3, detach_target=False)
    assert torch.autograd.gradcheck(loss, (student, teacher))


def test_registered():
    loss = MODELS.build(dict(type='mmkd.KLDivLoss', temperature=4.0))
    assert isinstance(loss, KLDivLoss) and loss.temperature == 4.0


@pytest.mark.parametrize(
    ('student', 'teacher', 'message'),
    [
        ((2, 11, 3), (2, 19, 3), 'teacher predicts 19 classes, student 11'),
        ((2, 5, 3), (2, 5, 4), r'\(2, 5, 3\), teacher logits \(2, 5, 4\)'),
        ((5,), (5,), r'expected logits \(N, K, ...\)'),
    ],
)
def test_wrong_shapes(student, teacher, message):
    with pytest.raises(ValueError, match=message):
        KLDivLoss()(torch.zeros(student), torch.zeros(teacher))


def test_wrong_lengths_and_settings():
    logits = torch.zeros(2, 3)
    with pytest.raises(ValueError, match='2 student and 1 teacher tensors'):
        KLDivLoss()([logits, logits], [logits])
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        KLDivLoss(temperature=0)
    with pytest.raises(ValueError, match='target_epsilon=-1'):
        KLDivLoss(target_epsilon=-1)


def binary_kl(student, teacher, temperature, dim):
    """Sum over classes, mean over all else, one number at a time."""
    student, teacher = student.movedim(dim, -1), teacher.movedim(dim, -1)
    rows = list(
        zip(student.flatten(0, -2), teacher.flatten(0, -2), strict=True)
    )
    total = 0.0
    for one, two in rows:
        for z_s, z_t in zip(one, two, strict=True):
            p = 1 / (1 + torch.exp(-z_t / temperature))
            q = 1 / (1 + torch.exp(-z_s / temperature))
            total += p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    return total * temperature**2 / len(rows)


@pytest.mark.parametrize('shape', [(3, 1), (2, 1, 4, 3), (2, 5, 3)])
@pytest.mark.parametrize('dim', [1, -1])
@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_sigmoid_equals_loop(shape, dim, temperature):
    student = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(shape, dtype=torch.float64)
    ours = KLDivLoss(temperature, sigmoid=True, dim=dim)(student, teacher)
    loop = binary_kl(student, teacher, temperature, dim)
    grads = [torch.autograd.grad(loss, student)[0] for loss in (ours, loop)]
    torch.testing.assert_close(ours, loop)
    torch.testing.assert_close(*grads)
    assert grads[0].abs().max() > 0


def test_sigmoid_of_one_output_is_the_softmax_of_two():
    student, teacher = torch.randn(2, 2, 1, 3, 3, dtype=torch.float64)
    pair = [torch.cat([z, torch.zeros_like(z)], 1) for z in (student, teacher)]
    torch.testing.assert_close(
        KLDivLoss(2.0, sigmoid=True)(student, teacher), KLDivLoss(2.0)(*pair)
    )


def test_sigmoid_is_finite_where_both_are_sure():
    student = torch.tensor([[200.0], [-200.0]], requires_grad=True)
    loss = KLDivLoss(sigmoid=True)(student, -student.detach())
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_softmax_over_another_dimension(temperature):
    student, teacher = torch.randn(2, 2, 5, 7, dtype=torch.float64)
    expected = cirkd.kl_div(
        student.flatten(0, 1), teacher.flatten(0, 1), temperature
    )
    for dim in (2, -1):
        loss = KLDivLoss(temperature, dim=dim)(student, teacher)
        torch.testing.assert_close(loss, expected)
    assert KLDivLoss(temperature)(student, teacher) != expected
    assert str(KLDivLoss(dim=2)) == (
        'KLDivLoss(temperature=1.0, loss_weight=1.0, dim=2)'
    )


def test_one_class_is_refused():
    logits = torch.randn(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r'\(2, 1, 4, 4\).*sigmoid=True'):
        KLDivLoss()(logits, logits)
    with pytest.raises(ValueError, match=r'dimension 2 of \(2, 5, 1\)'):
        KLDivLoss(dim=2)(*torch.randn(2, 2, 5, 1))


def test_dim_beyond_the_logits_is_named():
    logits = torch.randn(2, 5)
    with pytest.raises(ValueError, match=r'classes in dimension 2.*\(2, 5\)'):
        KLDivLoss(dim=2)(logits, logits)


def test_target_epsilon_is_for_the_softmax():
    with pytest.raises(ValueError, match=r'target_epsilon=1e-07.*sigmoid'):
        KLDivLoss(target_epsilon=1e-7, sigmoid=True)
