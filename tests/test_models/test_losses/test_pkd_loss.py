"""PKD against channel-wise correlations, and its edges."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.losses import PKDLoss
from tests.references.pkd import by_rows, normalised_error, pkd

SHAPES = [(2, 3, 4, 5), (1, 2, 1, 3), (3, 4, 1, 1)]


def maps(*shape: int) -> torch.Tensor:
    """Maps whose channels have other scales and offsets."""
    channels = torch.arange(1, shape[1] + 1, dtype=torch.float64)
    channels = channels[:, None, None]
    return torch.randn(shape, dtype=torch.float64) * channels + 3 * channels


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return maps(*shape).requires_grad_(), maps(*shape)


@pytest.mark.parametrize('shape', SHAPES)
def test_value_and_gradient_are_those_of_the_reference(shape: Any) -> None:
    student, teacher = pair(*shape)
    for eps in (1e-6, 0.5):
        found = PKDLoss(eps=eps)(student, teacher)
        expected = normalised_error(student, teacher, eps)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(
            torch.autograd.grad(found, student),
            torch.autograd.grad(expected, student),
        )


def test_the_published_form_is_the_same() -> None:
    student, teacher = pair(2, 3, 4, 5)
    expected = by_rows(student, teacher)
    torch.testing.assert_close(PKDLoss()(student, teacher), expected)


@pytest.mark.parametrize('shape', SHAPES)
def test_it_is_one_minus_the_correlation(shape: Any) -> None:
    student, teacher = pair(*shape)
    torch.testing.assert_close(
        PKDLoss(eps=1e-15)(student, teacher), pkd(student, teacher)
    )


def test_gradient_is_that_of_differences() -> None:
    student, teacher = pair(2, 3, 3, 2)
    assert torch.autograd.gradcheck(lambda s: PKDLoss()(s, teacher), student)


def test_levels_are_summed_and_weighted() -> None:
    pairs = [pair(2, 3, side, side) for side in (6, 3, 2)]
    students, teachers = map(list, zip(*pairs, strict=True))
    expected = sum(pkd(s, t) for s, t in pairs)
    found = PKDLoss(loss_weight=10.0)(students, tuple(teachers))
    torch.testing.assert_close(found, 10 * expected, rtol=1e-5, atol=0)


def test_scale_and_offset_do_not_matter() -> None:
    student, teacher = pair(2, 3, 4, 4)
    scale = torch.tensor([0.1, 5.0, 100.0])[:, None, None]
    found = PKDLoss()(student, 7 + scale * student)
    assert abs(found.item()) < 1e-9
    opposite = PKDLoss()(student, -scale * student)
    torch.testing.assert_close(
        opposite.detach(),
        torch.tensor(2 * 31 / 32, dtype=torch.float64),
        rtol=1e-5,
        atol=0,
    )


@pytest.mark.parametrize('constant', [0.0, 0.1, -1e4])
@pytest.mark.parametrize('side', ['student', 'teacher', 'both'])
def test_constant_channels_are_finite(side: str, constant: float) -> None:
    student, teacher = torch.randn(2, 2, 3, 4, 5).unbind()
    if side != 'teacher':
        student[:, 1] = constant
    if side != 'student':
        teacher[:, 1] = constant
    student.requires_grad_()
    loss = PKDLoss()(student, teacher)
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()
    others = PKDLoss()(student[:, ::2], teacher[:, ::2]) * 2 / 3
    constant_part = 0.0 if side == 'both' else 39 / 40 / 2 / 3
    torch.testing.assert_close(
        loss, others + constant_part, rtol=1e-4, atol=1e-5
    )


def test_one_position_of_one_image() -> None:
    """The last level of a small image: nothing to correlate."""
    student = torch.randn(1, 4, 1, 1).requires_grad_()
    loss = PKDLoss()(student, torch.randn(1, 4, 1, 1))
    loss.backward()
    assert loss == 0 and student.grad.abs().max() == 0


def test_half_precision_is_computed_in_float32() -> None:
    student, teacher = torch.randn(2, 2, 3, 4, 4).mul(100).half().unbind()
    found = PKDLoss()(student, teacher)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, PKDLoss()(student.float(), teacher.float())
    )


@pytest.mark.parametrize(
    ('student', 'teacher', 'message'),
    [
        ((2, 3, 4, 4), (2, 5, 4, 4), 'channels differ.*FitNetLoss'),
        ((2, 3, 4, 4), (2, 3, 2, 2), 'heights and widths.*resize='),
        ((2, 3), (2, 3), r'maps \(N, C, h, w\)'),
        ((2, 3, 4, 4), (4, 3, 4, 4), 'numbers of images differ'),
    ],
)
def test_maps_that_do_not_fit(
    student: Any, teacher: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PKDLoss()(torch.randn(student), torch.randn(teacher))


def test_other_numbers_of_levels() -> None:
    levels = [torch.randn(1, 2, 3, 3)] * 3
    with pytest.raises(ValueError, match='3 student and 2 teacher'):
        PKDLoss()(levels, levels[:2])


def test_eps_is_positive() -> None:
    with pytest.raises(ValueError, match='eps=0 must be positive'):
        PKDLoss(eps=0)
