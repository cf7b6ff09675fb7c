"""Cases of ``benchmarks/losses.py``: SKD and IFVD at published sizes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.measure.losses import Case
from mmkd.models.losses import (
    IntraClassFeatureVariationLoss,
    PairwiseSimilarityLoss,
)
from tests.references import seg_baselines

CLASSES = 19


def seg_cases(device: str, small: bool) -> Iterator[Case]:
    """CamVid and Cityscapes crops at stride 8, DeepLabV3-R101 to R18."""
    if small:
        yield skd_case(2, 20, 24, device)
        yield ifvd_case(2, 20, 24, device)
        return
    yield skd_case(2, 45, 45, device)
    yield ifvd_case(2, 45, 45, device)
    yield skd_case(2, 64, 128, device, min_speedup=3.0)
    yield ifvd_case(2, 64, 128, device, min_speedup=3.0)


def _maps(
    images: int, height: int, width: int, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = (
        torch.randn(images, channels, height, width, device=device).relu()
        for channels in (128, 256)
    )
    return student, teacher


def skd_case(
    images: int, height: int, width: int, device: str, **goals: float
) -> Case:
    """Pair-wise similarities after 2x2 pooling."""
    student, teacher = _maps(images, height, width, device)
    return Case(
        'SKD pair-wise',
        f'N={images}, {height}x{width}, C 128/256',
        student,
        partial(seg_baselines.pairwise_similarity, teacher=teacher),
        partial(PairwiseSimilarityLoss(), teacher=teacher),
        [teacher],
        **goals,
    )


def ifvd_case(
    images: int, height: int, width: int, device: str, **goals: float
) -> Case:
    """Intra-class variation; a tenth of the pixels has no class."""
    student, teacher = _maps(images, height, width, device)
    labels = torch.randint(
        CLASSES, (images, 8 * height, 8 * width), device=device
    )
    labels[torch.rand(labels.shape, device=device) < 0.1] = 255
    loss = IntraClassFeatureVariationLoss(CLASSES)
    return Case(
        'IFVD',
        f'N={images}, {height}x{width}, C 128/256, K {CLASSES}',
        student,
        partial(
            seg_baselines.intra_class_variation,
            teacher=teacher,
            labels=labels,
            num_classes=CLASSES,
        ),
        partial(loss, teacher=teacher, labels=labels),
        [teacher, labels],
        **goals,
    )
