"""Channel relations of CIRKDv2, against a step written by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses.channel_relation_loss import ChannelRelationLoss


def make(**changes: Any) -> ChannelRelationLoss:
    settings = dict(
        student_channels=3,
        teacher_channels=5,
        teacher_size=(9, 6),
        queue_size=20,
        contrast_size=7,
        rows_per_step=8,
    )
    return ChannelRelationLoss(**{**settings, **changes}).double()


def maps(channels: int) -> torch.Tensor:
    return torch.randn(2, channels, 9, 6, dtype=torch.float64)


def cells(x: torch.Tensor) -> torch.Tensor:
    """Means of 4x4 cells, those at the edge of what they have."""
    found = [
        x[:, :, i : i + 4, j : j + 4].mean((2, 3))
        for i in range(0, x.shape[2], 4)
        for j in range(0, x.shape[3], 4)
    ]
    return torch.stack(found, 2)


def kl(p: torch.Tensor, q: torch.Tensor, scale: float) -> float:
    p, q = (p * scale).softmax(0), (q * scale).softmax(0)
    return sum(
        float(a) * (math.log(a) - math.log(b))
        for a, b in zip(p, q, strict=True)
    )


def test_equals_a_step_by_hand() -> None:
    loss = make(temperature=0.2, kd_temperature=2.0)
    queue, student, teacher = loss.channel_queue.clone(), maps(3), maps(5)
    rows = torch.tensor([9, 0, 3, 4, 7, 1, 2, 8])
    slots = torch.tensor([0, 3, 19, 7, 11, 2, 5])
    found = loss(student, teacher, rows, slots)
    projected = loss.projection(
        functional.avg_pool2d(student, 4, ceil_mode=True)
    ).flatten(2)
    s = functional.normalize(projected, dim=2)
    t = functional.normalize(cells(teacher), dim=2)
    queue[:8] = t.flatten(0, 1)[rows]
    torch.testing.assert_close(loss.channel_queue, queue)
    assert loss.channel_ptr.tolist() == [8]
    pairs = [
        kl(t[j] @ t[i, c], s[j] @ s[i, c], 5.0)
        for i in range(2)
        for j in range(2)
        for c in range(5)
    ]
    bank = queue[slots]
    memory = [
        4 * kl(bank @ b, bank @ a, 2.5)
        for a, b in zip(s.flatten(0, 1), t.flatten(0, 1), strict=True)
    ]
    wanted = dict(
        loss_channel_minibatch=sum(pairs) / len(pairs),
        loss_channel_memory=0.1 * sum(memory) / len(memory),
        loss_channel_mse=100 * float((s - t).square().mean()),
    )
    assert {k: v.item() for k, v in found.items()} == pytest.approx(wanted)


def test_gradients_reach_student_and_projection_only() -> None:
    loss = make()
    student, teacher = maps(3).requires_grad_(), maps(5).requires_grad_()
    for value in loss(student, teacher).values():
        value.backward(retain_graph=True)
    assert student.grad.abs().sum() > 0 and teacher.grad is None
    assert all(p.grad.abs().sum() > 0 for p in loss.parameters())


def test_queue_restarts_behind_its_end() -> None:
    loss = make()
    for pointer in (8, 16, 0):  # 16 + 8 > 20: the last 8, and from 0
        loss(maps(3), maps(5))
        assert loss.channel_ptr.item() == pointer
    norms = loss.channel_queue.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    before = loss.channel_queue.clone()
    loss.eval()(maps(3), maps(5))
    assert torch.equal(loss.channel_queue, before)


def test_queue_may_stay_out_of_checkpoints() -> None:
    assert 'channel_queue' in make().state_dict()
    state = make(checkpoint_queues=False).state_dict()
    assert set(state) == {k for k in state if k.startswith('projection')}


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(contrast_size=30), 'contrast_size=30, but queue_size=20'),
        (dict(rows_per_step=30), 'rows_per_step=30, but queue_size=20'),
        (dict(temperature=0), 'temperature=0 must be positive'),
        (dict(teacher_size=12), r'teacher_size=\(12, 12\), but the teacher'),
        (dict(student_channels=4), 'set student_channels=3'),
    ],
)
def test_mistakes(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(**change)(maps(3), maps(5))
