from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses.fused_bank_kl import bank_relation_kl
from tests.references import cirkd


def unit(*shape, dtype=torch.float64):
    return functional.normalize(torch.randn(*shape, dtype=dtype), dim=-1)


def tensors(rows=11, bank=13, dim=5, dtype=torch.float64):
    student = unit(rows, dim, dtype=dtype).requires_grad_()
    weight = torch.full((rows,), 1 / rows, dtype=dtype)
    return (
        student,
        unit(rows, dim, dtype=dtype),
        unit(bank, dim, dtype=dtype),
        weight,
    )


@pytest.mark.parametrize('chunk_size', [1, 4, 256, None])
@pytest.mark.parametrize('temperature', [0.1, 0.005])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-5)]
)
def test_equals_plain_form(chunk_size, temperature, dtype, tolerance):
    student, teacher, bank, weight = tensors(dtype=dtype)
    ours = bank_relation_kl(
        student, teacher, bank, weight, 1 / temperature, chunk_size
    )
    plain = cirkd.memory_relation(student, teacher, bank, temperature)
    grads = [torch.autograd.grad(loss, student)[0] for loss in (ours, plain)]
    for value, expected in ((ours, plain), grads):
        error = (value - expected).abs().max()
        assert error <= tolerance * expected.abs().max()


def test_rows_are_weighted():
    student, teacher, bank, _ = tensors()
    weight = torch.rand(11, dtype=torch.float64)
    expected = sum(
        weight[m]
        * cirkd.memory_relation(student[m, None], teacher[m, None], bank)
        for m in range(11)
    )
    ours = bank_relation_kl(student, teacher, bank, weight, 10.0, 4)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, student),
        torch.autograd.grad(expected, student),
    )


def test_bank_order_and_duplicates_do_not_matter():
    student, teacher, bank, weight = tensors()
    expected = bank_relation_kl(student, teacher, bank, weight, 10.0)
    for other in (bank[torch.randperm(13)], torch.cat([bank, bank])):
        value = bank_relation_kl(student, teacher, other, weight, 10.0)
        torch.testing.assert_close(value, expected)


def test_equal_rows_give_zero():
    student, _, bank, weight = tensors(dtype=torch.float32)
    loss = bank_relation_kl(student, student.detach(), bank, weight, 10.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert student.grad.abs().max() < 1e-6


def test_without_rows_zero_and_connected():
    student, teacher, bank, weight = tensors()
    loss = bank_relation_kl(student[:0], teacher[:0], bank, weight[:0], 10.0)
    loss.backward()
    assert loss.item() == 0 and student.grad.abs().max() == 0


def test_gradcheck():
    student, teacher, bank, weight = tensors(rows=3, bank=4)
    assert torch.autograd.gradcheck(
        lambda s: bank_relation_kl(s, teacher, bank, weight, 2.0, 2), student
    )
