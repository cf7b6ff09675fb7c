from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import CCLoss
from tests.references import feature_losses as reference


def test_golden(golden):
    case = golden('cls_baselines', 'cc')
    student = torch.from_numpy(case['student_embed']).requires_grad_()
    loss = CCLoss()(student, torch.from_numpy(case['teacher_embed']))
    loss.backward()
    assert loss.item() == pytest.approx(float(case['loss']), rel=1e-5)
    torch.testing.assert_close(
        student.grad,
        torch.from_numpy(case['grad_student']),
        rtol=1e-4,
        atol=1e-7,
    )


def test_both_embeddings_are_trained():
    student, teacher = torch.randn(5, 3), torch.randn(5, 4, 1, 1)
    loss = CCLoss(3, 4, feat_dim=6)
    value = loss(student, teacher)
    embeds = loss.embeddings
    expected = reference.congruence(
        embeds['student'](student), embeds['teacher'](teacher.flatten(1))
    )
    torch.testing.assert_close(value, expected)
    value.backward()
    assert len(list(loss.parameters())) == 4
    assert all(p.grad.abs().max() > 0 for p in loss.parameters())


def test_depends_on_the_order_of_the_batch():
    student, teacher = torch.randn(2, 4, 3)
    order = [0, 2, 1, 3]
    assert CCLoss()(student, teacher) != CCLoss()(
        student[order], teacher[order]
    )


def test_mistakes():
    with pytest.raises(ValueError, match='give both for linear'):
        CCLoss(student_channels=3)
    with pytest.raises(ValueError, match='set student_channels'):
        CCLoss()(torch.randn(4, 3), torch.randn(4, 5))
    with pytest.raises(ValueError, match='batch_size > 1'):
        CCLoss()(torch.randn(1, 3), torch.randn(1, 3))
    with pytest.raises(ValueError, match='set teacher_channels=5'):
        CCLoss(3, 4)(torch.randn(4, 3), torch.randn(4, 5))
