"""Slow loops of the losses of feature distillation."""

from __future__ import annotations

import math

import torch


def cosine(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """Cosine of two vectors."""
    return (one * two).sum() / (one.square().sum() * two.square().sum()).sqrt()


def dense_cosine(
    student: torch.Tensor,
    teacher: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
) -> torch.Tensor:
    """Mean over images and places of 1 - cosine; maps of one size."""
    number, _, height, width = student.shape
    terms = []
    for n in range(number):
        for y in range(height):
            for x in range(width):
                projected = weight @ student[n, :, y, x] + bias
                terms.append(1 - cosine(projected, teacher[n, :, y, x]))
    return torch.stack(terms).mean()


def pseudo_classes(
    student: torch.Tensor,
    teacher: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    queue: torch.Tensor,
    temperature: float,
    teacher_temperature: float,
) -> torch.Tensor:
    """Cross entropy from the teacher's to the student's likenesses.

    Args:
        queue: (C_t, L) of unit columns.
    """
    terms = []
    for v_s, v_t in zip(student, teacher, strict=True):
        z_t = v_t / v_t.norm()
        z_s = weight @ v_s + bias
        z_s = z_s / z_s.norm()
        classes = [z_t, *queue.T]
        wanted = [
            math.exp(float(z_t @ q) / teacher_temperature) for q in classes
        ]
        found = torch.stack([(z_s @ q) / temperature for q in classes])
        shares = [value / sum(wanted) for value in wanted]
        logs = found - found.exp().sum().log()
        terms.append(
            -sum(s * log for s, log in zip(shares, logs, strict=True))
        )
    return torch.stack(terms).mean()
