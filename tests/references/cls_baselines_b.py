"""Slow, literal forms of the losses NST, CRD, SSKD, DKD, ReviewKD, OFD."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

Maps = list[torch.Tensor]


def nst(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """NST of one stage of equal size, with all channel pairs held at once."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        products = a.unsqueeze(1) * b.unsqueeze(2)  # (N, C_b, C_a, HW)
        return products.sum(3).square().mean((1, 2))

    s = functional.normalize(student.flatten(2), dim=2)
    t = functional.normalize(teacher.flatten(2), dim=2)
    return (kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)).mean()


def nce(
    embed: torch.Tensor,
    bank: torch.Tensor,
    index: torch.Tensor,
    temperature: float,
    z: float | None = None,
) -> tuple[torch.Tensor, float]:
    """One side of CRD: loss and constant Z, reading (N, 1 + K, d) rows."""
    rows = bank[index.flatten()].view(*index.shape, -1)
    scores = torch.bmm(rows, embed[:, :, None])[:, :, 0] / temperature
    raw = scores.exp()
    if z is None:
        z = float(len(bank) * raw.detach().mean())
    p = raw / z
    q = (index.shape[1] - 1) / len(bank)
    hit = (p[:, 0] / (p[:, 0] + q + 1e-7)).log()
    misses = (q / (p[:, 1:] + q + 1e-7)).log()
    return -(hit.sum() + misses.sum()) / len(index), z


def remember(
    bank: torch.Tensor,
    index: torch.Tensor,
    embeds: torch.Tensor,
    momentum: float,
) -> None:
    """Write embeddings into the bank, one after the other."""
    for row, embed in zip(index.tolist(), embeds.detach(), strict=True):
        mixed = momentum * bank[row] + (1 - momentum) * embed
        bank[row] = mixed / mixed.norm()


def kl(p: list[float], q: torch.Tensor) -> torch.Tensor:
    """KL of one distribution from another."""
    terms = [a * (math.log(a) - q[k].log()) for k, a in enumerate(p) if a > 0]
    return torch.stack(terms).sum()


def dkd(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return TCKD and NCKD, sample by sample."""
    target, others = [], []
    for s, t, y in zip(student, teacher, labels.tolist(), strict=True):
        p_s = (s / temperature).softmax(0)
        p_t = (t / temperature).softmax(0).tolist()
        pair = torch.stack([p_s[y], 1 - p_s[y]])
        target.append(kl([p_t[y], 1 - p_t[y]], pair))
        rest = [k for k in range(len(s)) if k != y]
        total = sum(p_t[k] for k in rest)
        share = torch.stack([p_s[k] for k in rest])
        others.append(kl([p_t[k] / total for k in rest], share / share.sum()))
    scale = temperature**2 / len(labels)
    return scale * torch.stack(target).sum(), scale * torch.stack(others).sum()


def sskd(
    student_logits: torch.Tensor,
    student_embeds: torch.Tensor,
    teacher_logits: torch.Tensor,
    teacher_embeds: torch.Tensor,
    labels: torch.Tensor,
    ratios: tuple[float, float] = (1.0, 0.75),
) -> dict[str, torch.Tensor]:
    """Return the unweighted terms of SSKD; four views per image."""
    upright = range(0, len(student_logits), 4)
    rotated = [k for k in range(len(student_logits)) if k % 4]

    def similarities(embeds: torch.Tensor) -> torch.Tensor:
        rows = [
            functional.cosine_similarity(embeds[k][None], embeds[upright])
            for k in rotated
        ]
        return torch.stack(rows)

    def mean_kl(
        s: torch.Tensor, t: torch.Tensor, rows: list[int], temperature: float
    ) -> torch.Tensor:
        terms = [
            kl(
                (t[k] / temperature).softmax(0).tolist(),
                (s[k] / temperature).softmax(0),
            )
            for k in rows
        ]
        return temperature**2 * torch.stack(terms).mean()

    def kept(scores: torch.Tensor, truth: list[int], ratio: float) -> list:
        ranks = [
            scores[k].argsort(descending=True).tolist().index(truth[k])
            for k in range(len(scores))
        ]
        wrong = sum(rank > 0 for rank in ranks)
        order = sorted(range(len(ranks)), key=lambda k: ranks[k])
        return order[: len(ranks) - wrong + int(wrong * ratio)]

    images = [k // 4 for k in rotated]
    classes = [labels.tolist()[n] for n in images]
    sim_s, sim_t = similarities(student_embeds), similarities(teacher_embeds)
    logits_t = teacher_logits[rotated]
    return dict(
        kd=mean_kl(student_logits, teacher_logits, list(upright), 4.0),
        tf=mean_kl(
            student_logits[rotated],
            logits_t,
            kept(logits_t, classes, ratios[0]),
            4.0,
        ),
        ss=mean_kl(sim_s, sim_t, kept(sim_t, images, ratios[1]), 0.5),
    )


def hcl(student: Maps, teacher: Maps) -> torch.Tensor:
    """Hierarchical comparison of ReviewKD, grid cell by grid cell."""
    total = torch.zeros((), dtype=student[0].dtype)
    for s, t in zip(student, teacher, strict=True):
        height, width = s.shape[2:]
        grids = [height, *(g for g in (4, 2, 1) if g < height)]
        terms = []
        for number, grid in enumerate(grids):
            step_h, step_w = height // grid, width // grid
            cells = [
                (
                    (s - t)[
                        ...,
                        a * step_h : (a + 1) * step_h,
                        b * step_w : (b + 1) * step_w,
                    ]
                    .mean((2, 3))
                    .square()
                    .mean()
                )
                for a in range(grid)
                for b in range(grid)
            ]
            terms.append((0.5**number, torch.stack(cells).mean()))
        weights = sum(weight for weight, _ in terms)
        total = total + sum(w * value for w, value in terms) / weights
    return total


def ofd(
    student: torch.Tensor, teacher: torch.Tensor, margin: torch.Tensor
) -> torch.Tensor:
    """Partial distance of OFD of one stage, position by position."""
    terms = []
    m_all = margin.expand_as(teacher)
    for s, t, m in zip(
        student.flatten(),
        teacher.flatten().tolist(),
        m_all.flatten().tolist(),
        strict=True,
    ):
        if t > 0:
            terms.append((s - t) ** 2)
        elif t > m:
            terms.append((s - t) ** 2 * (s > t))
        else:
            terms.append((s - m) ** 2 * (s > m))
    return torch.stack(terms).sum() / len(student)


def negative_mean(weight: float, bias: float) -> float:
    """Mean of the negative part of N(bias, |weight|), by integration."""
    std = abs(weight)
    grid = torch.linspace(bias - 12 * std, 0, 2_000_001, dtype=torch.float64)
    density = torch.exp(-(((grid - bias) / std) ** 2) / 2)
    return float((grid * density).sum() / density.sum())
