"""Dense, global and pseudo-class terms against slow loops."""

from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import (
    DenseCosineLoss,
    GlobalCosineLoss,
    PseudoClassLoss,
)
from tests.references.feature_distillation import (
    dense_cosine,
    pseudo_classes,
)

ALL = [DenseCosineLoss, GlobalCosineLoss, PseudoClassLoss]


def features(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


def layer(loss: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias = loss.projection.weight, loss.projection.bias
    return weight.flatten(1), bias


def assert_same_gradient(
    found: torch.Tensor, expected: torch.Tensor, student: torch.Tensor
) -> None:
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, student),
        torch.autograd.grad(expected, student),
    )


def test_dense_term() -> None:
    loss = DenseCosineLoss(3, 5, loss_weight=2.0).double()
    student = features(2, 3, 4, 3).requires_grad_()
    teacher = features(2, 5, 4, 3)
    expected = 2 * dense_cosine(student, teacher, *layer(loss))
    assert_same_gradient(loss(student, teacher), expected, student)


def test_dense_term_pools_the_larger_map() -> None:
    loss = DenseCosineLoss(3, 5).double()
    student, teacher = features(2, 3, 2, 2), features(2, 5, 4, 4)
    pooled = teacher.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean((3, 5))
    torch.testing.assert_close(loss(student, teacher), loss(student, pooled))


def test_global_term_is_the_dense_one_of_a_single_place() -> None:
    loss = GlobalCosineLoss(3, 5).double()
    student = features(4, 3).requires_grad_()
    teacher = features(4, 5)
    expected = dense_cosine(
        student[..., None, None], teacher[..., None, None], *layer(loss)
    )
    assert_same_gradient(loss(student, teacher), expected, student)
    maps = features(4, 3, 2, 5), features(4, 5, 3, 3)
    averaged = [m.mean((2, 3)) for m in maps]
    torch.testing.assert_close(loss(*maps), loss(*averaged))


def test_pseudo_classes_and_their_queue() -> None:
    loss = PseudoClassLoss(3, 5, 7, 0.5, 0.25, loss_weight=3.0).double()
    student = features(4, 3).requires_grad_()
    for step in range(3):  # the queue of 7 goes on at its start
        teacher = features(4, 5)
        queue = loss.queue[0].clone()
        expected = 3 * pseudo_classes(
            student, teacher, *layer(loss), queue, 0.5, 0.25
        )
        assert_same_gradient(loss(student, teacher), expected, student)
        for row in range(4):
            queue[:, (4 * step + row) % 7] = teacher[row] / teacher[row].norm()
        torch.testing.assert_close(loss.queue[0], queue)
        assert loss.queue_ptr.item() == 4 * (step + 1) % 7
    before = loss.queue.clone()
    loss.eval()(student, features(4, 5))
    assert loss.queue.equal(before)


@pytest.mark.parametrize('kind', ALL)
def test_equal_directions_cost_nothing_more(kind: type) -> None:
    """A student that already agrees has the least loss there is."""
    loss = kind(3, 3).double().eval()
    torch.nn.init.eye_(loss.projection.weight.data.view(3, 3))
    torch.nn.init.zeros_(loss.projection.bias)
    teacher = features(4, 3, 2, 2)
    best, other = loss(5 * teacher, teacher), loss(-teacher, teacher)
    assert best < other
    if kind is not PseudoClassLoss:
        torch.testing.assert_close(best, torch.zeros_like(best))
        torch.testing.assert_close(other, torch.full_like(other, 2))


@pytest.mark.parametrize('kind', ALL)
def test_half_precision_and_detached_teacher(kind: type) -> None:
    loss = kind(3, 5)
    student = torch.randn(4, 3, 2, 2).bfloat16().requires_grad_()
    teacher = torch.randn(4, 5, 2, 2).bfloat16().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = loss(student, teacher)
    found.backward()
    assert found.dtype == torch.float32 and found.isfinite()
    assert teacher.grad is None and student.grad.isfinite().all()


@pytest.mark.parametrize('kind', ALL)
def test_other_channels_than_it_is_made_for(kind: type) -> None:
    with pytest.raises(ValueError, match='student_channels=3.*filled in'):
        kind(3, 5)(torch.randn(2, 4, 2, 2), torch.randn(2, 5, 2, 2))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match='maps'):
        DenseCosineLoss(3, 5)(torch.randn(2, 3), torch.randn(2, 5))
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        PseudoClassLoss(3, 5, temperature=0)
    with pytest.raises(ValueError, match='queue_size=2 is smaller than'):
        PseudoClassLoss(3, 5, 2)(torch.randn(3, 3), torch.randn(3, 5))
