from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import FTLoss, ParaphraserLoss
from tests.references import feature_losses as reference


def test_factors_equal_loop():
    student = torch.randn(3, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 5, 2, 3, dtype=torch.float64)
    both = [FTLoss()(student, teacher), reference.factor(student, teacher)]
    torch.testing.assert_close(*both)
    grads = [torch.autograd.grad(loss, student)[0] for loss in both]
    torch.testing.assert_close(*grads)


@pytest.fixture
def first_phase(tmp_path):
    """A trained paraphraser, and its checkpoint."""
    loss = ParaphraserLoss(8)
    teacher = torch.randn(4, 8, 4, 4)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    values = []
    for _ in range(40):
        value = loss(teacher)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.95 * values[0]
    path = tmp_path / 'epoch_30.pth'
    state = {f'losses.paraphrase.{k}': v for k, v in loss.state_dict().items()}
    torch.save(dict(state_dict=state), path)
    return loss.paraphraser, path


def test_two_phases(first_phase):
    paraphraser, path = first_phase
    loss = FTLoss(6, 8, paraphraser=path, loss_weight=2.0)
    student, teacher = torch.randn(2, 6, 8, 8), torch.randn(2, 8, 4, 4)
    expected = reference.factor(
        torch.nn.functional.adaptive_avg_pool2d(loss.translator(student), 4),
        paraphraser(teacher),
    )
    value = loss(student, teacher)
    torch.testing.assert_close(value, 2 * expected)
    value.backward()
    assert all(p.grad is None for p in loss.paraphraser.parameters())
    assert all(p.grad is not None for p in loss.translator.parameters())


def test_paraphraser_error():
    loss = ParaphraserLoss(4, factor_channels=3, loss_weight=0.5)
    teacher = torch.randn(2, 4, 4, 4, requires_grad=True)
    value = loss(teacher)
    output = loss.paraphraser.reconstruct(teacher)
    torch.testing.assert_close(value, (output - teacher).square().mean() / 2)
    value.backward()
    assert teacher.grad is None
    assert loss(teacher.detach().bfloat16()).dtype == torch.float32


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match='give both for translator'):
        FTLoss(teacher_channels=4)
    with pytest.raises(FileNotFoundError, match='train the network first'):
        FTLoss(4, 4, paraphraser=tmp_path / 'none.pth')
    maps = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match='student_channels=4, but'):
        FTLoss(4, 4)(maps, maps)
    with pytest.raises(ValueError, match='teacher_channels=4, but'):
        FTLoss(3, 4)(maps, maps)
    with pytest.raises(ValueError, match='teacher_channels=4, but'):
        ParaphraserLoss(4)(maps)
    with pytest.raises(ValueError, match='in front of the pooling'):
        ParaphraserLoss(4)(torch.zeros(2, 4))
    torch.save(dict(weight=torch.zeros(1)), tmp_path / 'other.pth')
    with pytest.raises(KeyError, match='training with ParaphraserLoss'):
        FTLoss(4, 4, paraphraser=tmp_path / 'other.pth')
