"""Losses whose cost ``benchmarks/losses.py`` measures, by method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.nn import functional

from benchmarks.cases.cls_losses import nst_crd_cases
from benchmarks.cases.contrast import total, unit
from benchmarks.cases.detection_losses import pkd_cases
from benchmarks.cases.layer_losses import lmcl_cases
from benchmarks.cases.okd_losses import mcl_okd_cases
from benchmarks.cases.relation_losses import sp_rkd_cases
from benchmarks.cases.seg_losses import seg_cases
from benchmarks.measure.losses import Case
from mmkd.models.losses import (
    MemoryMutualContrastiveLoss,
    MiniBatchPixelRelationLoss,
    MoCoMutualContrastiveLoss,
    MutualContrastiveLoss,
)
from mmkd.models.losses.fused_bank_kl import bank_relation_kl
from tests.references import cirkd, mcl


def cirkd_cases(device: str, small: bool) -> Iterator[Case]:
    """Pixel relations in the mini-batch and to the memory."""
    yield minibatch_case(2, 45, 45, device)
    yield memory_case(2, 45, 45, (4103, 1034), device)
    if not small:
        goals = dict(min_speedup=1.5, max_kept=1 / 20)
        yield minibatch_case(2, 64, 128, device, **goals)
        goals = dict(min_speedup=1.5, max_kept=1 / 10)
        yield memory_case(2, 64, 128, (4104, 1026), device, **goals)


def mcl_cases(device: str, small: bool) -> Iterator[Case]:
    """Mutual contrast in the batch, with banks and with queues."""
    if small:
        yield contrast_case(2, 16, device)
        yield banks_case(2, 4, 50, device)
        yield queues_case(2, 4, 64, device)
        return
    yield contrast_case(2, 128, device, min_speedup=1.0)
    yield contrast_case(4, 128, device, min_speedup=2.0)
    for num_peers in (2, 4):
        yield banks_case(num_peers, 32, 2048, device)
    for num_peers in (2, 4):
        yield queues_case(num_peers, 32, 8192, device)


METHODS: dict[str, Callable[[str, bool], Iterator[Case]]] = dict(
    cirkd=cirkd_cases,
    lmcl=lmcl_cases,
    mcl=mcl_cases,
    mcl_okd=mcl_okd_cases,
    nst_crd=nst_crd_cases,
    seg=seg_cases,
    sp_rkd=sp_rkd_cases,
    pkd=pkd_cases,
)


def minibatch_case(
    images: int, height: int, width: int, device: str, **goals: float
) -> Case:
    """Mini-batch pixel relations, 128 student and 256 teacher channels."""
    student = torch.randn(images, 128, height, width, device=device)
    teacher = torch.randn(images, 256, height, width, device=device)
    return Case(
        'mini-batch p2p',
        f'N={images}, {height}x{width}, C 128/256',
        student,
        partial(cirkd.minibatch_relation, teacher_feats=teacher),
        partial(MiniBatchPixelRelationLoss(), teacher_feats=teacher),
        [teacher],
        **goals,
    )


def memory_case(
    images: int,
    height: int,
    width: int,
    banks: tuple[int, int],
    device: str,
    **goals: float,
) -> Case:
    """Pixel and region memory, after the projection, 256 channels."""
    queues = [unit(rows, 256, device=device) for rows in banks]
    student, teacher = (
        torch.randn(images, 256, height, width, device=device)
        for _ in range(2)
    )

    def rows(maps: torch.Tensor) -> torch.Tensor:
        pixels = maps.flatten(2).transpose(1, 2).contiguous()
        return functional.normalize(pixels, dim=2).flatten(0, 1)

    def plain(maps: torch.Tensor) -> torch.Tensor:
        s, t = rows(maps), rows(teacher)
        terms = [cirkd.memory_relation(s, t, bank) for bank in queues]
        return 0.1 * (terms[0] + terms[1])

    def fused(maps: torch.Tensor) -> torch.Tensor:
        s, t = rows(maps), rows(teacher)
        weight = s.new_full((len(s),), 1 / len(s))
        terms = [bank_relation_kl(s, t, q, weight, 10.0) for q in queues]
        return 0.1 * (terms[0] + terms[1])

    return Case(
        'memory p2p + p2r',
        f'N={images}, {height}x{width}, D 256, V {banks[0]}+{banks[1]}',
        student,
        plain,
        fused,
        [teacher],
        **goals,
    )


def contrast_case(
    num_peers: int, batch: int, device: str, **goals: float
) -> Case:
    """Batch form of MCL: pairs of one class, embeddings of width 128."""
    labels = torch.arange(batch, device=device) // 2
    loss = MutualContrastiveLoss()
    return Case(
        'batch',
        f'M={num_peers}, B={batch}, d 128',
        unit(num_peers, batch, 128, device=device),
        lambda embeds: weighted(mcl.batch_terms(embeds.unbind(), labels)),
        lambda embeds: total(loss(embeds.unbind(), labels)),
        [labels],
        **goals,
    )


def banks_case(
    num_peers: int, batch: int, num_negatives: int, device: str
) -> Case:
    """Memory form of MCL, one positive; nothing is written."""
    size = 20 * num_negatives
    loss = MemoryMutualContrastiveLoss(num_peers, size).eval().to(device)
    pos_idx = torch.randint(size, (batch, 2), device=device)
    neg_idx = torch.randint(size, (batch, num_negatives), device=device)

    def plain(embeds: torch.Tensor) -> torch.Tensor:
        peers = embeds.unbind()
        return weighted(mcl.memory_terms(peers, loss.banks, pos_idx, neg_idx))

    return Case(
        'banks',
        f'M={num_peers}, B={batch}, K {num_negatives}, n {size}, d 128',
        unit(num_peers, batch, 128, device=device),
        plain,
        lambda embeds: total(loss(embeds.unbind(), pos_idx, neg_idx)),
        [loss.banks, pos_idx, neg_idx],
    )


def queues_case(
    num_peers: int, batch: int, queue_size: int, device: str
) -> Case:
    """MoCo form of MCL with the weights of the others; nothing is written."""
    loss = MoCoMutualContrastiveLoss(
        num_peers,
        queue_size=queue_size,
        vcl_weight=0.1,
        icl_weight=0.1,
    )
    loss = loss.eval().to(device)
    keys = unit(num_peers, batch, 128, device=device)
    return Case(
        'queues',
        f'M={num_peers}, B={batch}, L {queue_size}, d 128',
        unit(num_peers, batch, 128, device=device),
        lambda queries: weighted(
            mcl.moco_terms(queries.unbind(), keys, loss.queue)
        ),
        lambda queries: total(loss(queries.unbind(), keys)),
        [loss.queue, keys],
    )


def weighted(terms: mcl.Terms) -> torch.Tensor:
    """Sum of unweighted terms with the weights of the supervised forms."""
    soft = terms['loss_soft_vcl'] + terms['loss_soft_icl']
    return soft + 0.1 * (terms['loss_vcl'] + terms['loss_icl'])
