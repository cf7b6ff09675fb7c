from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmkd.evaluation import (
    PROTOCOLS,
    Features,
    LinearProtocol,
    linear_eval,
)
from mmkd.evaluation.linear_eval import accuracy


def blobs(per_class: int, seed: int, spread: float = 0.5) -> Features:
    """Three classes around fixed points of the plane."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[2.0, 0.0], [-2.0, 1.0], [0.0, -3.0]])
    labels = torch.arange(3).repeat_interleave(per_class)
    noise = torch.randn(len(labels), 2, generator=generator)
    return Features(centres[labels] + spread * noise, labels, ('a', 'b', 'c'))


def test_separable_classes_are_learned() -> None:
    protocol = LinearProtocol(epochs=10, batch_size=16, milestones=(5,))
    result = linear_eval(blobs(40, 0), blobs(20, 1), protocol)
    assert result.top1[-1] > 98.0
    assert result.top5 == [100.0] * 10
    assert result.loss[-1] < 0.2 < result.loss[0]


def test_equals_a_loop_by_hand() -> None:
    train, test = blobs(5, 0), blobs(5, 1)
    protocol = LinearProtocol(
        lr=0.5,
        batch_size=4,
        epochs=3,
        milestones=(2,),
        weight_decay=0.01,
        nesterov=True,
    )
    result = linear_eval(train, test, protocol, seed=3)

    generator = torch.Generator().manual_seed(3)
    weight = 0.01 * torch.randn(3, 2, generator=generator)
    bias = torch.zeros(3)
    memory = [torch.zeros(3, 2), torch.zeros(3)]
    for epoch in range(3):
        lr = 0.5 if epoch < 2 else 0.05
        order = torch.randperm(15, generator=generator).tolist()
        for start in range(0, 15, 4):
            rows = order[start : start + 4]
            for parameter in (weight, bias):
                parameter.requires_grad_(True)
            logits = train.feats[rows] @ weight.T + bias
            loss = F.cross_entropy(logits, train.labels[rows])
            grads = torch.autograd.grad(loss, (weight, bias))
            updated = []
            for i, value in enumerate((weight.detach(), bias.detach())):
                grad = grads[i] + 0.01 * value
                memory[i] = 0.9 * memory[i] + grad
                updated.append(value - lr * (grad + 0.9 * memory[i]))
            weight, bias = updated
    torch.testing.assert_close(result.classifier.weight.detach(), weight)
    torch.testing.assert_close(result.classifier.bias.detach(), bias)


def test_accuracy_counts_ranks() -> None:
    scores = torch.tensor([[5.0, 4, 3, 2, 1, 0]]).repeat(6, 1)
    features = Features(scores, torch.arange(6))
    top1, top5 = accuracy(nn.Identity(), features)
    assert top1 == pytest.approx(100 / 6)
    assert top5 == pytest.approx(500 / 6)


def test_every_epoch_of_augmented_features_is_drawn_once() -> None:
    drawn = []

    def draw() -> Features:
        drawn.append(len(drawn))
        return blobs(4, len(drawn))

    reported = []
    linear_eval(
        draw,
        blobs(4, 9),
        LinearProtocol(epochs=3),
        report=lambda epoch, result: reported.append((epoch, len(drawn))),
    )
    assert reported == [(1, 1), (2, 2), (3, 3)]


def test_seed_reproduces() -> None:
    protocol = LinearProtocol(epochs=2, batch_size=4)
    runs = [
        linear_eval(blobs(5, 0), blobs(5, 1), protocol, seed=seed).loss
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_published_protocols() -> None:
    mcl, hssakd = PROTOCOLS['mcl'], PROTOCOLS['hssakd']
    assert (mcl.lr, mcl.batch_size, mcl.milestones) == (30.0, 256, (60, 80))
    assert (hssakd.lr, hssakd.batch_size) == (0.1, 64)
    assert hssakd.milestones == (30, 60, 90)
    assert hssakd.nesterov and not mcl.nesterov
    for protocol in (mcl, hssakd):
        assert protocol.epochs == 100
        assert protocol.weight_decay == 0.0
        assert protocol.init_std == 0.01


def test_mistakes_are_named() -> None:
    train = blobs(4, 0)
    narrow = Features(train.feats[:, :1], train.labels, train.classes)
    with pytest.raises(ValueError, match='width 2, test features 1'):
        linear_eval(train, narrow)
    other = Features(train.feats, train.labels, ('a', 'c', 'b'))
    with pytest.raises(ValueError, match=r'3 classes \(a, b.*3 \(a, c'):
        linear_eval(train, other)
    with pytest.raises(ValueError, match='epochs=0'):
        LinearProtocol(epochs=0)
    mixed = Features(train.feats, train.labels.flip(0), train.classes)
    with pytest.raises(FloatingPointError, match='epoch 2.*lr=1e\\+38'):
        linear_eval(mixed, train, LinearProtocol(lr=1e38, epochs=2))
