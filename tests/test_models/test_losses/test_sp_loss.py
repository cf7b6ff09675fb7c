from __future__ import annotations

import torch

from mmkd.models.losses import SPLoss
from tests.references import feature_losses as reference


def test_equals_loop_and_operators():
    student = torch.randn(5, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(5, 4, 3, 3, dtype=torch.float64)
    losses = [
        SPLoss()(student, teacher),
        reference.similarity(student, teacher),
        reference.similarity_by_operators(student, teacher),
    ]
    grads = [torch.autograd.grad(loss, student)[0] for loss in losses]
    for k in (1, 2):
        torch.testing.assert_close(losses[0], losses[k])
        torch.testing.assert_close(grads[0], grads[k])


def test_gradcheck():
    student = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(SPLoss(), (student, teacher))


def test_positions_may_be_permuted_and_the_batch_too():
    student, teacher = torch.randn(4, 3, 2, 3), torch.randn(4, 5, 2, 3)
    loss = SPLoss()(student, teacher)
    flipped = SPLoss()(student.flip(3), teacher.flip(3))
    torch.testing.assert_close(loss, flipped)
    torch.testing.assert_close(
        loss, SPLoss()(student.flip(0), teacher.flip(0))
    )
