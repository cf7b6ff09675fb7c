from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import RKDLoss
from tests.references import feature_losses as reference

TERMS = dict(
    total=RKDLoss(),
    distance=RKDLoss(distance_weight=1.0, angle_weight=0.0),
    angle=RKDLoss(distance_weight=0.0, angle_weight=1.0),
)


@pytest.mark.parametrize('term', TERMS)
def test_golden(golden, term):
    case = golden('cls_baselines', 'rkd')
    student = torch.from_numpy(case['student']).requires_grad_()
    loss = TERMS[term](student, torch.from_numpy(case['teacher']))
    loss.backward()
    assert loss.item() == pytest.approx(float(case[f'loss_{term}']), rel=1e-5)
    torch.testing.assert_close(
        student.grad,
        torch.from_numpy(case[f'grad_{term}']),
        rtol=1e-4,
        atol=1e-7,
    )


@pytest.mark.parametrize('count', [3, 6])
def test_equals_loop(count):
    student = torch.randn(count, 4, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(count, 3, dtype=torch.float64)
    loops = dict(
        distance=reference.distance_term(student, teacher),
        angle=reference.angle_term(student, teacher),
    )
    loops['total'] = 25 * loops['distance'] + 50 * loops['angle']
    for term, loop in loops.items():
        loss = TERMS[term](student, teacher)
        torch.testing.assert_close(loss, loop)
        grads = [
            torch.autograd.grad(value, student, retain_graph=True)[0]
            for value in (loss, loop)
        ]
        torch.testing.assert_close(*grads)
    torch.testing.assert_close(
        loops['total'], reference.relational_by_operators(student, teacher)
    )


def test_steep_part_of_smooth_l1():
    """Angles that turn round differ by more than 1."""
    student = torch.tensor([[0.0], [1.0], [3.0], [-2.0]]).double()
    student.requires_grad_()
    teacher = torch.tensor([[1.0, 0], [0, 0], [-3, 1], [5, 5]]).double()
    both = [TERMS['angle'], reference.angle_term]
    losses = [loss(student, teacher) for loss in both]
    torch.testing.assert_close(*losses)
    moved = torch.randn(4, 2).double().requires_grad_()
    grads = [torch.autograd.grad(f(moved, teacher), moved)[0] for f in both]
    torch.testing.assert_close(*grads)


def test_gradcheck():
    student = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(5, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(RKDLoss(), (student, teacher))


def test_invariances():
    student, teacher = torch.randn(6, 4).double(), torch.randn(6, 5).double()
    rotation = torch.linalg.qr(torch.randn(4, 4).double())[0]
    moved = 3 * student @ rotation + torch.randn(4).double()
    torch.testing.assert_close(
        RKDLoss()(student, teacher), RKDLoss()(moved, teacher)
    )


@pytest.mark.parametrize('scale', [1.0, 1000.0])
@pytest.mark.parametrize('gap', [0.0, 1e-30, 1e-7, 1e-4])
def test_equal_and_nearly_equal_samples(gap, scale):
    student, teacher = torch.randn(5, 8) * scale, torch.randn(5, 6)
    student[3] = student[1] + gap * torch.randn(8)
    teacher[3] = teacher[1]
    student.requires_grad_()
    loss = RKDLoss()(student, teacher)
    loss.backward()
    assert student.grad.isfinite().all()
    exact = student.detach().double()
    expected = 25 * reference.distance_term(exact, teacher.double())
    expected += 50 * reference.angle_term(exact, teacher.double())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_an_angle_needs_three_images():
    with pytest.raises(ValueError, match='set batch_size > 2'):
        RKDLoss()(torch.randn(2, 3), torch.randn(2, 3))
    rehearsed = RKDLoss().eval()(torch.randn(2, 3), torch.randn(2, 3))
    assert rehearsed.item() == pytest.approx(0, abs=1e-6)
