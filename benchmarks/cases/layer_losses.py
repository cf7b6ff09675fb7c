"""Layer-wise losses of L-MCL beside the loop over pairs of layers."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.cases.contrast import total, unit
from benchmarks.measure.losses import Case
from mmkd.models.losses import (
    LayerwiseMutualContrastiveLoss,
    MemoryLayerwiseMutualContrastiveLoss,
)
from tests.references import lmcl, mcl


def lmcl_cases(device: str, small: bool) -> Iterator[Case]:
    """Layer-wise contrast in the batch, and with banks."""
    if small:
        yield layers_case(2, 2, 16, device)
        yield layer_banks_case(2, 2, 4, 50, device)
        return
    yield layers_case(2, 3, 128, device, min_speedup=3.0)
    yield layers_case(2, 4, 128, device)
    yield layers_case(3, 3, 128, device)
    yield layer_banks_case(2, 4, 16, 2048, device)


def layers_case(
    num_peers: int, num_stages: int, batch: int, device: str, **goals: float
) -> Case:
    """Batch form: pairs of one class, embeddings of width 128."""
    labels = torch.arange(batch, device=device) // 2
    weights = pair_weights(num_peers, num_stages, batch, device)
    loss = LayerwiseMutualContrastiveLoss()
    return Case(
        'layers, batch',
        f'N={num_peers}, S={num_stages}, B={batch}, d 128',
        unit(num_peers, num_stages, batch, 128, device=device),
        lambda embeds: weighted(
            lmcl.batch_terms(embeds, labels, weights), 0.1
        ),
        lambda embeds: total(loss(embeds, labels, weights)),
        [labels, weights],
        **goals,
    )


def layer_banks_case(
    num_peers: int,
    num_stages: int,
    batch: int,
    num_negatives: int,
    device: str,
) -> Case:
    """Memory form, one positive; nothing is written."""
    size = 20 * num_negatives
    loss = MemoryLayerwiseMutualContrastiveLoss(num_peers, size).to(device)
    loss.eval()
    pos_idx = torch.randint(size, (batch, 2), device=device)
    neg_idx = torch.randint(size, (batch, num_negatives), device=device)
    weights = pair_weights(num_peers, num_stages, batch, device)

    def plain(embeds: torch.Tensor) -> torch.Tensor:
        terms = lmcl.memory_terms(
            embeds, loss.banks, pos_idx, neg_idx, weights
        )
        return weighted(terms, 0.01)

    return Case(
        'layers, banks',
        f'N={num_peers}, S={num_stages}, B={batch}, K {num_negatives}, '
        f'n {size}, d 128',
        unit(num_peers, num_stages, batch, 128, device=device),
        plain,
        lambda embeds: total(loss(embeds, pos_idx, neg_idx, weights)),
        [loss.banks, pos_idx, neg_idx, weights],
    )


def pair_weights(
    num_peers: int, num_stages: int, batch: int, device: str
) -> torch.Tensor:
    """Symmetric weights around a half, as the matching network gives."""
    size = (num_peers, num_stages, num_peers, num_stages, batch)
    weights = 0.4 + 0.1 * torch.rand(size, device=device)
    return weights + weights.permute(2, 3, 0, 1, 4) - 0.4


def weighted(terms: mcl.Terms, hard: float) -> torch.Tensor:
    """Sum of unweighted terms, ``hard`` on the two hard ones."""
    soft = terms['loss_soft_vcl'] + terms['loss_soft_icl']
    return soft + hard * (terms['loss_vcl'] + terms['loss_icl'])
