"""Cases of ``benchmarks/losses.py``: SP and RKD at published sizes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.measure.losses import Case
from mmkd.models.losses import RKDLoss, SPLoss
from tests.references import feature_losses


def sp_rkd_cases(device: str, small: bool) -> Iterator[Case]:
    """Last maps and pooled features of CIFAR-100 pairs, batch 64."""
    if small:
        yield sp_case('small', 8, (4, 6), 2, device)
        yield rkd_case('small', 8, (4, 6), device)
        return
    for pair, widths in (
        ('ResNet-56 to 20', (64, 64)),
        ('WRN-40-2 to 16-2', (128, 128)),
        ('ResNet-32x4 to 8x4', (256, 256)),
    ):
        yield sp_case(pair, 64, widths, 8, device, min_speedup=2.0)
    for pair, widths in (
        ('ResNet-56 to 20', (64, 64)),
        ('WRN-40-2 to 16-2', (128, 128)),
        ('ResNet-32x4 to 8x4', (256, 256)),
        ('VGG-13 to 8', (512, 512)),
        ('ResNet-50 to MobileNetV2', (1280, 2048)),
    ):
        yield rkd_case(pair, 64, widths, device, min_speedup=2.0)


def sp_case(
    pair: str,
    batch: int,
    widths: tuple[int, int],
    size: int,
    device: str,
    **goals: float,
) -> Case:
    """SP of the last maps; widths of student and teacher."""
    student, teacher = (
        torch.randn(batch, width, size, size, device=device).relu()
        for width in widths
    )
    return Case(
        f'SP, {pair}',
        f'N={batch}, C {widths[0]}/{widths[1]}, {size}x{size}',
        student,
        partial(feature_losses.similarity_by_operators, teacher=teacher),
        partial(SPLoss(), teacher=teacher),
        [teacher],
        **goals,
    )


def rkd_case(
    pair: str,
    batch: int,
    widths: tuple[int, int],
    device: str,
    **goals: float,
) -> Case:
    """RKD of pooled features; widths of student and teacher."""
    student, teacher = (
        torch.randn(batch, width, device=device).relu() for width in widths
    )
    return Case(
        f'RKD, {pair}',
        f'N={batch}, d {widths[0]}/{widths[1]}',
        student,
        partial(feature_losses.relational_by_operators, teacher=teacher),
        partial(RKDLoss(), teacher=teacher),
        [teacher],
        **goals,
    )
