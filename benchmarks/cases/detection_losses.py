"""Cases of ``benchmarks/losses.py``: PKD on the levels of a pyramid."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.measure.losses import Case
from mmkd.models.losses import PKDLoss
from tests.references import pkd


def pkd_cases(device: str, small: bool) -> Iterator[Case]:
    """Levels of RetinaNet for two images of 800 x 1216 pixels."""
    if small:
        yield pkd_case('small', 8, 6, 9, device)
        return
    for level, height, width in ((3, 100, 152), (4, 50, 76), (5, 25, 38)):
        yield pkd_case(f'P{level}', 256, height, width, device)


def pkd_case(
    level: str, channels: int, height: int, width: int, device: str
) -> Case:
    """PKD of one level, two images."""
    student, teacher = (
        torch.randn(2, channels, height, width, device=device)
        for _ in range(2)
    )
    return Case(
        f'PKD, {level}',
        f'N=2, C {channels}, {height}x{width}',
        student,
        partial(pkd.by_rows, teacher=teacher),
        partial(PKDLoss(), teacher=teacher),
        [teacher],
    )
