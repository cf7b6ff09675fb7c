"""Cases of ``benchmarks/losses.py``: MCL-OKD at published sizes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from benchmarks.measure.losses import Case
from mmkd.models.losses import MemoryNCELoss
from tests.references import cls_baselines_b


def mcl_okd_cases(device: str, small: bool) -> Iterator[Case]:
    """Four peers on CIFAR-100, batch 64; K of ResNet-32, and a larger one."""
    if small:
        yield memory_nce_case(3, 4, 200, 60, device)
        return
    yield memory_nce_case(4, 64, 50000, 256, device, min_speedup=2.0)
    yield memory_nce_case(4, 64, 50000, 4096, device, min_speedup=2.0)


def memory_nce_case(
    num_peers: int,
    batch: int,
    num_samples: int,
    negatives: int,
    device: str,
    **goals: float,
) -> Case:
    """All ordered pairs, with given indices; nothing is written.

    The published form reads the rows of a bank once for every pair, and
    waits for the device to know each pair's normaliser.
    """
    loss = MemoryNCELoss(num_peers, num_samples, num_negatives=negatives)
    loss = loss.eval().to(device)
    size = (batch, 1 + negatives)
    index = torch.randint(num_samples, size, device=device)
    embeds = torch.randn(num_peers, batch, 128, device=device)

    def plain(learner: torch.Tensor) -> torch.Tensor:
        terms = [
            cls_baselines_b.nce(anchors, bank, index, 0.1)[0]
            for i, bank in enumerate(loss.banks)
            for j, anchors in enumerate(learner)
            if i != j
        ]
        return torch.stack(terms).sum()

    return Case(
        'MCL-OKD',
        f'M={num_peers}, N={batch}, K {negatives}, n {num_samples}, d 128',
        functional.normalize(embeds, dim=2),
        plain,
        lambda learner: loss(learner, index[:, 0], index),
        [index, *loss.banks],
        **goals,
    )
