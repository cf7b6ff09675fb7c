"""Classification losses on features: the yardstick of tests and benchmarks.

Loops over images, channels and positions for one pair of features, straight
from the equations; and the forms with PyTorch's operators that public code
uses, for those losses whose speed is compared.
"""

from __future__ import annotations

import itertools

import torch
from torch.nn import functional

Tensor = torch.Tensor


def smooth_l1(x: Tensor) -> Tensor:
    """Elementwise, with the transition at 1."""
    return torch.where(x.abs() < 1, x.square() / 2, x.abs() - 0.5)


def unit(vector: Tensor) -> Tensor:
    """A vector over its norm."""
    return vector / vector.norm().clamp_min(1e-12)


# -- loops -----------------------------------------------------------------


def attention(student: Tensor, teacher: Tensor, p: float = 2) -> Tensor:
    """AT of two maps (N, C, H, W) of one height and width."""
    total = student.new_zeros(())
    for f_s, f_t in zip(student, teacher, strict=True):
        a_s, a_t = (
            unit((f.abs() ** p).sum(0).flatten() / len(f)) for f in (f_s, f_t)
        )
        total = total + (a_s - a_t).square().sum()
    return total / (len(student) * student[0, 0].numel())


def similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """SP of features (N, ...)."""
    count = len(student)

    def rows(features: Tensor) -> list[Tensor]:
        return [
            unit(torch.stack([(a * b).sum() for b in features]))
            for a in features
        ]

    pairs = zip(rows(student), rows(teacher), strict=True)
    terms = [(s - t).square().sum() for s, t in pairs]
    return torch.stack(terms).sum() / count**2


def congruence(student: Tensor, teacher: Tensor) -> Tensor:
    """CC of embeddings (N, D)."""
    gaps = (student - teacher).abs()
    neighbours = [a @ b for a, b in zip(gaps, gaps[1:], strict=False)]
    return torch.stack(neighbours).mean()


def variational(
    mean: Tensor, teacher: Tensor, log_scale: Tensor, eps: float = 1e-5
) -> Tensor:
    """VID of a regressed map and the teacher's (N, C, H, W)."""
    total = teacher.new_zeros(())
    for channel, scale in enumerate(log_scale):
        variance = scale.exp().log1p() + eps
        gap = mean[:, channel] - teacher[:, channel]
        total = total + (gap.square() / variance + variance.log()).sum() / 2
    return total / teacher.numel()


def distance_term(student: Tensor, teacher: Tensor) -> Tensor:
    """Distance-wise RKD of features (N, D), unweighted."""
    count = len(student)
    both = []
    for features in (student, teacher):
        lengths = {
            (i, j): (features[i] - features[j]).square().sum().clamp(1e-12)
            ** 0.5
            for i, j in itertools.permutations(range(count), 2)
        }
        mean = sum(lengths.values()) / len(lengths)
        both.append({key: value / mean for key, value in lengths.items()})
    terms = [smooth_l1(both[0][key] - both[1][key]) for key in both[0]]
    return torch.stack(terms).sum() / count**2


def angle_term(student: Tensor, teacher: Tensor) -> Tensor:
    """Angle-wise RKD of features (N, D), unweighted."""
    count = len(student)
    total = student.new_zeros(())
    for i, j, k in itertools.product(range(count), repeat=3):
        cosines = [
            unit(f[j] - f[i]) @ unit(f[k] - f[i])
            if i not in (j, k)
            else 0 * f.sum()
            for f in (student, teacher)
        ]
        total = total + smooth_l1(cosines[0] - cosines[1])
    return total / count**3


def probabilistic(
    student: Tensor, teacher: Tensor, eps: float = 1e-7
) -> Tensor:
    """PKT of features (N, D)."""
    count = len(student)

    def rows(features: Tensor) -> list[Tensor]:
        vectors = [f / (f.norm() + eps) for f in features]
        kernel = [
            torch.stack([(a @ b + 1) / 2 for b in vectors]) for a in vectors
        ]
        return [row / row.sum() for row in kernel]

    pairs = zip(rows(student), rows(teacher), strict=True)
    terms = [(t * ((t + eps) / (s + eps)).log()).sum() for s, t in pairs]
    return torch.stack(terms).sum() / count**2


def boundary(student: Tensor, teacher: Tensor, margin: float = 1) -> Tensor:
    """One stage of AB, without the stage's weight and 3 / 1000."""
    total = student.new_zeros(())
    for s, t in zip(student.flatten(), teacher.flatten(), strict=True):
        if t <= 0 and s > -margin:
            total = total + (s + margin) ** 2
        elif t > 0 and s <= margin:
            total = total + (s - margin) ** 2
    return total / len(student)


def factor(student: Tensor, teacher: Tensor) -> Tensor:
    """FT of two factors (N, F, H, W)."""
    total = student.new_zeros(())
    for f_s, f_t in zip(student, teacher, strict=True):
        q_s, q_t = (
            unit(f.square().sum(0).flatten() / len(f)) for f in (f_s, f_t)
        )
        total = total + (q_s - q_t).abs().sum()
    return total / (len(student) * student[0, 0].numel())


def flow(below: tuple[Tensor, Tensor], above: tuple[Tensor, Tensor]) -> Tensor:
    """FSP of two consecutive maps of one size; each (student, teacher)."""
    gaps = []
    for image in range(len(below[0])):
        for c, d in itertools.product(
            range(below[0].shape[1]), range(above[0].shape[1])
        ):
            g_s, g_t = (
                (x[image, c] * y[image, d]).mean()
                for x, y in zip(below, above, strict=True)
            )
            gaps.append((g_s - g_t).square())
    return torch.stack(gaps).mean()


# -- with operators --------------------------------------------------------


def similarity_by_operators(student: Tensor, teacher: Tensor) -> Tensor:
    """SP: two products, normalised rows, mean square."""
    grams = []
    for features in (student, teacher):
        rows = features.flatten(1)
        grams.append(functional.normalize(rows @ rows.T))
    return (grams[1] - grams[0]).square().sum() / len(student) ** 2


def relational_by_operators(student: Tensor, teacher: Tensor) -> Tensor:
    """RKD, weights 25 and 50: every difference of features is formed."""
    angles, lengths = [], []
    for features in (student, teacher):
        gaps = features[None] - features[:, None]
        directions = functional.normalize(gaps, dim=2)
        angles.append(directions @ directions.transpose(1, 2))
        square = features.square().sum(1)
        product = features @ features.T
        square = square[:, None] + square - 2 * product
        distance = square.clamp_min(1e-12).sqrt()
        own = torch.eye(len(features), dtype=torch.bool, device=gaps.device)
        distance = distance.masked_fill(own, 0)
        lengths.append(distance / distance[distance > 0].mean())
    distance_loss = functional.smooth_l1_loss(lengths[0], lengths[1])
    angle_loss = functional.smooth_l1_loss(angles[0], angles[1])
    return 25 * distance_loss + 50 * angle_loss
