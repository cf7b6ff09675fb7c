"""Cases of ``benchmarks/losses.py``: NST and CRD at published sizes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch.nn import functional

from benchmarks.measure.losses import Case
from mmkd.models.losses import CRDLoss, NSTLoss
from tests.references import cls_baselines_b


def nst_crd_cases(device: str, small: bool) -> Iterator[Case]:
    """Stages of two CIFAR-100 pairs, and CRD on CIFAR-100, batch 64."""
    if small:
        yield nst_case('small', 4, 8, 8, device)
        yield crd_case(4, 200, 60, device)
        return
    for pair, channels, size in (
        ('WRN-40-2 to 16-2, stage 1', 32, 32),
        ('WRN-40-2 to 16-2, stage 2', 64, 16),
        ('WRN-40-2 to 16-2, stage 3', 128, 8),
        ('ResNet-32x4 to 8x4, stage 1', 64, 32),
    ):
        yield nst_case(pair, 64, channels, size, device, min_speedup=2.0)
    yield crd_case(64, 50000, 16384, device, min_speedup=2.0)


def nst_case(
    pair: str,
    batch: int,
    channels: int,
    size: int,
    device: str,
    **goals: float,
) -> Case:
    """NST of one stage, equal widths of student and teacher."""
    student, teacher = (
        torch.randn(batch, channels, size, size, device=device).relu()
        for _ in range(2)
    )
    return Case(
        f'NST, {pair}',
        f'N={batch}, C {channels}, {size}x{size}',
        student,
        partial(cls_baselines_b.nst, teacher=teacher),
        partial(NSTLoss(), teacher=teacher),
        [teacher],
        **goals,
    )


def crd_case(
    batch: int, num_samples: int, negatives: int, device: str, **goals: float
) -> Case:
    """Both sides of CRD with given indices; nothing is written."""
    loss = CRDLoss(128, 256, num_samples, num_negatives=negatives)
    loss = loss.eval().to(device)
    student, teacher = (
        torch.randn(batch, width, device=device) for width in (128, 256)
    )
    size = (batch, 1 + negatives)
    index = torch.randint(num_samples, size, device=device)

    def plain(feats: torch.Tensor) -> torch.Tensor:
        sides = (
            (loss.embed_s(feats), loss.memory_teacher),
            (loss.embed_t(teacher), loss.memory_student),
        )
        return torch.stack(
            [
                cls_baselines_b.nce(
                    functional.normalize(raw, dim=1), bank, index, 0.07
                )[0]
                for raw, bank in sides
            ]
        ).sum()

    return Case(
        'CRD',
        f'N={batch}, K {negatives}, n {num_samples}, d 128',
        student,
        plain,
        lambda feats: loss(feats, teacher, index[:, 0], index),
        [teacher, index, loss.memory_student, loss.memory_teacher],
        **goals,
    )
