"""Segmentation distillation, formula by formula.

As one would write the losses down from the papers, with P x P matrices and
loops over classes: the yardstick of tests and benchmarks.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

Maps = list[torch.Tensor]


def pairwise_similarity(
    student: torch.Tensor, teacher: torch.Tensor
) -> torch.Tensor:
    """SKD: similarity matrices of all pooled positions."""
    grams = []
    for maps in (student, teacher.detach()):
        pooled = functional.max_pool2d(maps, 2, 2, ceil_mode=True)
        unit = functional.normalize(pooled.flatten(2), dim=1)
        grams.append(torch.einsum('ncp,ncq->npq', unit, unit))
    return (grams[0] - grams[1]).square().mean()


def class_variation(
    feats: torch.Tensor, labels: torch.Tensor, num_classes: int
) -> torch.Tensor:
    """IFVD: cosine of every pixel to its class's centre, class by class.

    Args:
        feats: (N, C, h, w).
        labels: (N, h, w); others than 0..K-1 have no class.
        num_classes: K.
    """
    centre = feats.clone()
    for c in range(num_classes):
        mask = (labels == c)[:, None].to(feats)
        total = (feats * mask).sum((2, 3), keepdim=True)
        mean = total / (mask.sum((2, 3), keepdim=True) + 1e-6)
        centre = (1 - mask) * centre + mask * mean
    return functional.cosine_similarity(feats, centre, dim=1, eps=1e-8)


def intra_class_variation(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
) -> torch.Tensor:
    """IFVD of maps and label maps (N, H, W)."""
    height, width = student.shape[2:]
    rows = [i * labels.shape[1] // height for i in range(height)]
    columns = [j * labels.shape[2] // width for j in range(width)]
    small = labels[:, rows][:, :, columns]
    gap = class_variation(student, small, num_classes)
    gap = gap - class_variation(teacher.detach(), small, num_classes)
    return gap.square().mean()


def channel_wise_divergence(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """CWD by a loop over images and channels."""
    total = student.new_zeros(())
    for n in range(len(student)):
        for c in range(student.shape[1]):
            p = (teacher[n, c].flatten() / temperature).softmax(0)
            q = (student[n, c].flatten() / temperature).softmax(0)
            total = total + (p * (p.log() - q.log())).sum()
    return temperature**2 * total / (len(student) * student.shape[1])


def pixel_residuals(student: Maps, teacher: Maps) -> torch.Tensor:
    """DSD: residuals between attention maps, image by image."""
    terms = []
    for m in range(len(student)):
        for n in range(m):
            gaps = []
            for k in range(len(student[0])):
                found = []
                for maps in (student, teacher):
                    att = [
                        maps[i][k].square().mean(0).flatten() for i in (m, n)
                    ]
                    att = [a / a.norm() for a in att]
                    found.append((att[0] - att[1]) / (att[0] - att[1]).norm())
                gaps.append((found[0] - found[1]).square().mean())
            terms.append(sum(gaps) / len(gaps))
    return torch.stack(terms).mean()


def category_similarity(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """DSD: products of the classes' distributions over pooled cells."""
    relations = []
    for maps in (student, teacher):
        count, classes, height, width = maps.shape
        cells = [
            maps[:, :, i : i + 2, j : j + 2].mean((2, 3))
            for i in range(0, height, 2)
            for j in range(0, width, 2)
        ]
        assert len(cells) == math.ceil(height / 2) * math.ceil(width / 2)
        q = (torch.stack(cells, 2) / temperature).softmax(2)
        relation = maps.new_zeros(count, classes, classes)
        for a in range(classes):
            for b in range(classes):
                relation[:, a, b] = (q[:, a] * q[:, b]).sum(1)
        relations.append(relation)
    return (relations[0] - relations[1]).square().mean()
