"""MCL-OKD, pair by pair and sample by sample."""

from __future__ import annotations

import torch

Banks = list[torch.Tensor]


def criterion(
    p: torch.Tensor, num_samples: int, epsilon: float = 1e-7
) -> torch.Tensor:
    """The NCE criterion of normalised scores (N, 1 + K)."""
    negatives = p.shape[1] - 1
    noise = negatives / num_samples
    total = torch.zeros((), dtype=p.dtype)
    for row in p:
        total = total + (row[0] / (row[0] + noise + epsilon)).log()
        for value in row[1:]:
            total = total + (noise / (value + noise + epsilon)).log()
    return -total / len(p)


def pair(
    bank: torch.Tensor,
    anchors: torch.Tensor,
    index: torch.Tensor,
    temperature: float,
    epsilon: float = 1e-7,
) -> torch.Tensor:
    """l_ij of a bank i and anchors j."""
    rows = bank[index]
    raw = ((rows * anchors[:, None]).sum(2) / temperature).exp()
    z = (len(bank) * raw.mean()).detach()
    return criterion(raw / z, len(bank), epsilon)


def contrast(
    banks: Banks,
    embeds: Banks,
    index: torch.Tensor,
    temperature: float,
    epsilon: float = 1e-7,
) -> torch.Tensor:
    """Sum over the ordered pairs."""
    terms = [
        pair(bank, anchors, index, temperature, epsilon)
        for i, bank in enumerate(banks)
        for j, anchors in enumerate(embeds)
        if i != j
    ]
    return torch.stack(terms).sum()


def remember(
    banks: Banks, embeds: Banks, index: torch.Tensor, momentum: float
) -> Banks:
    """Banks after a step; of equal indices the last counts."""
    found = [bank.clone() for bank in banks]
    for new, old, values in zip(found, banks, embeds, strict=True):
        for row, value in zip(index.tolist(), values.detach(), strict=True):
            mixed = momentum * old[row] + (1 - momentum) * value
            new[row] = mixed / mixed.norm()
    return found
