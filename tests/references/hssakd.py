"""HSAKD / HSSAKD written out row by row, to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

TURNS = 4


def rotated(images: Tensor) -> list[Tensor]:
    """Return the rows (C, H, W): image 0 in four turns, image 1, ..."""
    rows = []
    for image in images:
        side = image.shape[-1]
        for turn in range(TURNS):
            row = image.clone()
            for i in range(side):
                for j in range(side):
                    source = [
                        (i, j),
                        (j, side - 1 - i),
                        (side - 1 - i, side - 1 - j),
                        (side - 1 - j, i),
                    ][turn]
                    row[:, i, j] = image[:, source[0], source[1]]
            rows.append(row)
    return rows


def joint_labels(labels: Sequence[int]) -> list[int]:
    """Return class * 4 + turn of every row."""
    return [TURNS * int(y) + turn for y in labels for turn in range(TURNS)]


def cross_entropy(logits: Tensor, labels: Sequence[int]) -> Tensor:
    """Return the mean of -log p of the labels."""
    rows = zip(logits, labels, strict=True)
    terms = [row.exp().sum().log() - row[label] for row, label in rows]
    return sum(terms[1:], terms[0]) / len(terms)


def divergence(
    student: Tensor, teacher: Tensor, temperature: float = 3.0
) -> Tensor:
    """Return T^2 times the mean over rows of KL(teacher || student)."""
    terms = []
    for s_row, t_row in zip(student, teacher.detach(), strict=True):
        s, t = s_row / temperature, t_row / temperature
        log_p_s = s - s.exp().sum().log()
        log_p_t = t - t.exp().sum().log()
        terms.append((log_p_t.exp() * (log_p_t - log_p_s)).sum())
    return temperature**2 * sum(terms[1:], terms[0]) / len(terms)


def teacher_loss(
    logits: Tensor, joint: Sequence[Tensor], labels: Sequence[int]
) -> Tensor:
    """Return the loss of pre-training with branches."""
    turned = joint_labels(labels)
    loss = cross_entropy(logits[::TURNS], labels)
    for branch in joint:
        loss = loss + cross_entropy(branch, turned)
    return loss


def student_loss(
    student: tuple[Tensor, Sequence[Tensor]],
    teacher: tuple[Tensor, Sequence[Tensor]],
    labels: Sequence[int],
) -> Tensor:
    """Return the loss of offline distillation from (logits, branches)."""
    loss = cross_entropy(student[0][::TURNS], labels)
    loss = loss + divergence(student[0], teacher[0])
    for own, given in zip(student[1], teacher[1], strict=True):
        loss = loss + divergence(own, given)
    return loss


def online_loss(
    peers: Sequence[tuple[Tensor, Sequence[Tensor]]], labels: Sequence[int]
) -> Tensor:
    """Return the loss of peers that teach each other."""
    loss = peers[0][0].new_zeros(())
    for index, (logits, joint) in enumerate(peers):
        loss = loss + teacher_loss(logits, joint, labels)
        others = [peer for k, peer in enumerate(peers) if k != index]
        for other in others:
            terms = [divergence(logits, other[0])]
            terms += map(divergence, joint, other[1])
            total = sum(terms[1:], terms[0])
            loss = loss + total / len(others)
    return loss


def learning_rate(
    epoch: int, initial: float, milestones: Sequence[int]
) -> float:
    """Return the rate of an epoch, counted from 0."""
    passed = sum(epoch >= milestone for milestone in milestones)
    return initial * math.pow(0.1, passed)
