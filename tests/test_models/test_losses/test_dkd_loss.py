from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import DKDLoss, KLDivLoss
from mmkd.registry import MODELS
from tests.references import cls_baselines_b


def logits(classes=6, samples=5):
    student, teacher = 3 * torch.randn(
        2, samples, classes, dtype=torch.float64
    )
    labels = torch.randint(classes, (samples,))
    return student.requires_grad_(), teacher, labels


@pytest.mark.parametrize('temperature', [1.0, 4.0])
@pytest.mark.parametrize(('alpha', 'beta'), [(1, 0), (0, 1), (1, 8), (1, 0.5)])
def test_equals_loop(temperature, alpha, beta):
    student, teacher, labels = logits()
    ours = DKDLoss(alpha, beta, temperature)(student, teacher, labels)
    target, others = cls_baselines_b.dkd(student, teacher, labels, temperature)
    loop = alpha * target + beta * others
    grads = [torch.autograd.grad(loss, student)[0] for loss in (ours, loop)]
    torch.testing.assert_close(ours, loop)
    torch.testing.assert_close(*grads)


def test_beta_of_each_sample_gives_plain_kd(golden):
    """KL = TCKD + (1 - p_y) NCKD; the right side on recorded logits."""
    case = golden('cls_baselines', 'kd')
    student, teacher = (
        torch.tensor(case[k], dtype=torch.float64)
        for k in ('student', 'teacher')
    )
    labels, temperature = torch.from_numpy(case['target']), 4.0
    total = 0.0
    for s, t, y in zip(student, teacher, labels, strict=True):
        beta = 1 - float((t / temperature).softmax(0)[y])
        loss = DKDLoss(1.0, beta, temperature)
        total += loss(s[None], t[None], y[None]).item() / len(labels)
    assert total == pytest.approx(float(case['loss_kd']), rel=1e-5)
    kd = KLDivLoss(temperature)(student, teacher).item()
    assert total == pytest.approx(kd, rel=1e-9)


def test_parts_see_what_they_should():
    student, teacher, labels = logits()
    raised = student.detach().clone()
    raised[torch.arange(5), labels] += 2.0
    others = DKDLoss(alpha=0.0)
    value = others(student, teacher, labels)
    torch.testing.assert_close(others(raised, teacher, labels), value)
    target = DKDLoss(beta=0.0)
    assert target(raised, teacher, labels) != target(student, teacher, labels)
    torch.testing.assert_close(
        DKDLoss()(student + 7, teacher - 3, labels),
        DKDLoss()(student, teacher, labels),
    )
    assert DKDLoss()(teacher, teacher, labels).abs() < 1e-12


def test_warm_up_over_epochs():
    student, teacher, labels = logits()
    full = DKDLoss()(student, teacher, labels)
    loss = DKDLoss(warmup_epochs=20, loss_weight=3.0)
    for epoch, share in ((0, 0.05), (9, 0.5), (19, 1.0), (100, 1.0)):
        value = loss(student, teacher, labels, epoch=epoch)
        torch.testing.assert_close(value, 3 * share * full)
    value = DKDLoss(warmup_epochs=0)(student, teacher, labels, epoch=0)
    torch.testing.assert_close(value, full)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_sure_logits_are_finite(dtype):
    """p_y = 1 makes a naive log(1 - p_y) infinite."""
    student = torch.tensor([[0.0, 500, -500]], dtype=dtype).requires_grad_()
    teacher = torch.tensor([[500.0, 0, -500]], dtype=dtype).requires_grad_()
    for label in range(3):
        loss = DKDLoss(temperature=1.0)(
            student, teacher, torch.tensor([label])
        )
        loss.backward()
        assert loss.isfinite() and loss.dtype == torch.float32
    assert student.grad.isfinite().all() and teacher.grad is None


def test_gradcheck():
    student, teacher, labels = logits(4, 3)
    assert torch.autograd.gradcheck(DKDLoss(), (student, teacher, labels))


def test_messages():
    student, teacher, labels = logits()
    loss = MODELS.build(dict(type='mmkd.DKDLoss', beta=6.0))
    assert loss.beta == 6.0
    with pytest.raises(ValueError, match='labels reach from .* to 6'):
        loss(
            student,
            teacher,
            labels.clamp(max=5).index_fill(0, torch.tensor([0]), 6),
        )
    with pytest.raises(ValueError, match='at least two classes'):
        loss(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2).long())
    with pytest.raises(ValueError, match='teacher predicts 5 classes'):
        loss(student, teacher[:, :5], labels)
    with pytest.raises(ValueError, match='one class per sample'):
        loss(student, teacher, torch.rand(5, 6))
    small = loss(student, teacher, labels.to(torch.uint8))
    assert torch.equal(small, loss(student, teacher, labels))
    with pytest.raises(ValueError, match='temperature=0'):
        DKDLoss(temperature=0)
