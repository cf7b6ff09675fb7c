"""Linear evaluation: a new classifier on a frozen network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from mmkd.evaluation.features import Features


@dataclass(frozen=True)
class LinearProtocol:
    """How the classifier is trained; the defaults are those of HSSAKD.

    Args:
        lr: initial learning rate.
        batch_size: images per step; the last smaller batch is used too.
        epochs: passes over the training images.
        milestones: epochs done when the rate is multiplied by 0.1.
        momentum: of SGD.
        weight_decay: of SGD.
        nesterov: of SGD.
        init_std: standard deviation of the initial weights; the bias is 0.
    """

    lr: float = 0.1
    batch_size: int = 64
    epochs: int = 100
    milestones: tuple[int, ...] = (30, 60, 90)
    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = True
    init_std: float = 0.01

    def __post_init__(self) -> None:
        for name in ('lr', 'batch_size', 'epochs', 'init_std'):
            if getattr(self, name) <= 0:
                raise ValueError(
                    f'linear evaluation: {name}={getattr(self, name)} must '
                    'be greater than 0'
                )


# Of HSSAKD, for features of supervised training, and of MCL, for features of
# momentum contrast (on those of supervised training a rate of 30 diverges).
PROTOCOLS = dict(
    hssakd=LinearProtocol(),
    mcl=LinearProtocol(
        lr=30.0, batch_size=256, milestones=(60, 80), nesterov=False
    ),
)


@dataclass
class LinearResult:
    """Accuracies in percent, by epoch.

    Args:
        top1: after each epoch.
        top5: after each epoch; of fewer than 5 classes, of all.
        loss: mean training loss of each epoch.
        classifier: after the last epoch.
    """

    classifier: nn.Linear
    top1: list[float] = field(default_factory=list)
    top5: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)


def linear_eval(
    train: Features | Callable[[], Features],
    test: Features,
    protocol: LinearProtocol | None = None,
    *,
    seed: int = 0,
    report: Callable[[int, LinearResult], None] | None = None,
) -> LinearResult:
    """Train a linear classifier on features, test it after every epoch.

    loss = cross entropy of (W f + b, label), W ~ N(0, init_std), b = 0.

    Args:
        train: features of the training images, or a function that returns
            those of a freshly augmented epoch.
        test: features of the test images.
        protocol: default: that of HSSAKD.
        seed: of the initial weights and of the order of images.
        report: called after each epoch with its number, from 1.

    Raises:
        ValueError: training and test images do not have the same classes or
            widths.
        FloatingPointError: the loss is not finite.
    """
    protocol = protocol or PROTOCOLS['hssakd']
    draw = train if callable(train) else None
    features = train() if callable(train) else train
    _check(features, test)
    generator = torch.Generator().manual_seed(seed)
    classifier = nn.Linear(test.feats.shape[1], features.num_classes)
    nn.init.normal_(
        classifier.weight, std=protocol.init_std, generator=generator
    )
    nn.init.zeros_(classifier.bias)
    optimizer = torch.optim.SGD(
        classifier.parameters(),
        lr=protocol.lr,
        momentum=protocol.momentum,
        weight_decay=protocol.weight_decay,
        nesterov=protocol.nesterov,
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, list(protocol.milestones)
    )
    result = LinearResult(classifier)
    for epoch in range(protocol.epochs):
        if draw is not None and epoch:
            features = draw()
        loss = _train_epoch(
            classifier, optimizer, features, protocol.batch_size, generator
        )
        if not torch.isfinite(torch.tensor(loss)):
            raise FloatingPointError(
                f'linear evaluation: the loss is {loss} in epoch {epoch + 1} '
                f'with lr={protocol.lr}; choose a smaller lr, or protocol '
                '"hssakd" for features of supervised training'
            )
        schedule.step()
        top1, top5 = accuracy(classifier, test)
        result.loss.append(loss)
        result.top1.append(top1)
        result.top5.append(top5)
        if report is not None:
            report(epoch + 1, result)
    return result


@torch.no_grad()
def accuracy(
    classifier: nn.Module, features: Features, topk: Sequence[int] = (1, 5)
) -> list[float]:
    """Top-k accuracies of a classifier in percent."""
    logits = classifier(features.feats)
    most = min(max(topk), logits.shape[1])
    order = logits.topk(most, dim=1).indices
    hits = order == features.labels[:, None]
    return [100.0 * float(hits[:, :k].any(dim=1).float().mean()) for k in topk]


def _train_epoch(
    classifier: nn.Linear,
    optimizer: torch.optim.Optimizer,
    features: Features,
    batch_size: int,
    generator: torch.Generator,
) -> float:
    order = torch.randperm(len(features.labels), generator=generator)
    total = torch.zeros(())
    for rows in order.split(batch_size):
        logits = classifier(features.feats[rows])
        loss = F.cross_entropy(logits, features.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(rows)
    return float(total) / len(order)


def _check(train: Features, test: Features) -> None:
    if train.feats.shape[1] != test.feats.shape[1]:
        raise ValueError(
            f'linear evaluation: training features have width '
            f'{train.feats.shape[1]}, test features {test.feats.shape[1]}; '
            'use one network, with a global pooling, for both'
        )
    if train.num_classes != test.num_classes or train.classes != test.classes:
        raise ValueError(
            f'linear evaluation: the training data have {train.num_classes} '
            f'classes {_some(train)}, the test data {test.num_classes} '
            f'{_some(test)}; give both data sets the same classes, in the '
            'same order'
        )


def _some(features: Features) -> str:
    return f'({", ".join(features.classes[:3])}, ...)'
