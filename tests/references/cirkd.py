"""CIRKD formula by formula: the yardstick of tests and benchmarks.

The two losses are written as one would write them down from the paper with
PyTorch's operators, one pair of images or one bank at a time; the queue
update is a plain loop over images, classes and vectors.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def kl_div(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    temperature: float = 1.0,
) -> torch.Tensor:
    """T^2 KL(teacher || student) by a loop over images and positions."""
    students = (
        student_logits.flatten(2)
        if student_logits.ndim > 2
        else (student_logits[..., None])
    )
    teachers = teacher_logits.reshape(students.shape)
    total, count = students.new_zeros(()), 0
    for n in range(students.shape[0]):
        for a in range(students.shape[2]):
            p = (teachers[n, :, a] / temperature).softmax(0)
            q = (students[n, :, a] / temperature).softmax(0)
            total = total + (p * (p.log() - q.log())).sum()
            count += 1
    return temperature**2 * total / count


def unit_pixels(feats: torch.Tensor) -> torch.Tensor:
    """Return L2-normalised pixels (N, A, C) of a map (N, C, h, w)."""
    return functional.normalize(feats, dim=1).flatten(2).transpose(1, 2)


def pair_kl(
    student_feats: torch.Tensor,
    teacher_feats: torch.Tensor,
    temperature: float = 0.1,
) -> torch.Tensor:
    """Mean KL of every ordered pair of images: (N, N).

    Args:
        student_feats: (N, C_s, h, w).
        teacher_feats: (N, C_t, h, w).
        temperature: softening.
    """
    students = unit_pixels(student_feats)
    teachers = unit_pixels(teacher_feats.detach())
    rows = []
    for s_i, t_i in zip(students, teachers, strict=True):
        row = []
        for s_j, t_j in zip(students, teachers, strict=True):
            log_q = functional.log_softmax(s_i @ s_j.T / temperature, dim=1)
            p = functional.softmax(t_i @ t_j.T / temperature, dim=1)
            row.append(functional.kl_div(log_q, p, reduction='batchmean'))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def minibatch_relation(
    student_feats: torch.Tensor,
    teacher_feats: torch.Tensor,
    temperature: float = 0.1,
) -> torch.Tensor:
    """Mini-batch pixel-to-pixel loss: the mean of ``pair_kl``."""
    return pair_kl(student_feats, teacher_feats, temperature).mean()


def memory_relation(
    student: torch.Tensor,
    teacher: torch.Tensor,
    bank: torch.Tensor,
    temperature: float = 0.1,
    kd_temperature: float = 1.0,
) -> torch.Tensor:
    """Memory loss of unit rows (M, D) and a bank (V, D)."""
    divisor = temperature * kd_temperature
    log_q = functional.log_softmax(student @ bank.T / divisor, dim=1)
    p = functional.softmax(teacher.detach() @ bank.T / divisor, dim=1)
    kl = functional.kl_div(log_q, p, reduction='batchmean')
    return kd_temperature**2 * kl


def nearest_labels(
    labels: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Labels (N, H, W) at (floor(i H / h), floor(j W / w)): (N, h, w)."""
    height, width = size
    result = labels.new_empty(len(labels), height, width)
    for i in range(height):
        for j in range(width):
            y = i * labels.shape[1] // height
            x = j * labels.shape[2] // width
            result[:, i, j] = labels[:, y, x]
    return result


def update_queues(
    queues: dict[str, torch.Tensor],
    keys: torch.Tensor,
    labels: torch.Tensor,
    draws: torch.Tensor,
    pixel_sampling: str,
) -> None:
    """Write one batch into the queues, vector by vector.

    Args:
        queues: ``pixel_queue``, ``region_queue``, ``pixel_ptr``,
            ``region_ptr``, changed in place.
        keys: unit vectors (N, D, h, w).
        labels: (N, h, w).
        draws: rows [image, class, n, k, p_1, ..., p_k, padding], in the
            order in which they are written.
        pixel_sampling: 'leading' or 'class'.
    """
    for image, cls, num_pixels, used, *positions in draws.tolist():
        pixels = keys[image].flatten(1).T
        members = (labels[image].flatten() == cls).nonzero()[:, 0]
        if len(members) != num_pixels:
            raise ValueError('the draws do not belong to these labels')
        region = functional.normalize(pixels[members].mean(0), dim=0)
        slot = int(queues['region_ptr'][cls])
        size = queues['region_queue'].shape[1]
        queues['region_queue'][cls, slot] = region
        queues['region_ptr'][cls] = (slot + 1) % size

        start = int(queues['pixel_ptr'][cls])
        size = queues['pixel_queue'].shape[1]
        if start + used >= size:
            start = size - used
            queues['pixel_ptr'][cls] = 0
        else:
            queues['pixel_ptr'][cls] += used
        for offset, position in enumerate(positions[:used]):
            index = (
                members[position] if pixel_sampling == 'class' else position
            )
            queues['pixel_queue'][cls, start + offset] = pixels[index]


def draw_positions(
    labels: torch.Tensor,
    ignore_index: int,
    pixels_per_class: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw the rows of ``update_queues`` for label maps (N, h, w)."""
    rows = []
    for image, label in enumerate(labels):
        for cls in label.unique().tolist():
            if cls == ignore_index:
                continue
            num_pixels = int((label == cls).sum())
            used = min(num_pixels, pixels_per_class)
            order = torch.randperm(num_pixels, generator=generator)
            padding = [-1] * (pixels_per_class - used)
            numbers = order[:used].tolist() + padding
            rows.append([image, cls, num_pixels, used, *numbers])
    return torch.tensor(rows).view(-1, 4 + pixels_per_class)
