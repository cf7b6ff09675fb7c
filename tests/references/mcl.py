"""MCL formula by formula: the yardstick of tests and benchmarks.

Two loops over the peers, one matrix of similarities at a time, as one would
write the losses down from the paper with PyTorch's operators.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

Terms = dict[str, torch.Tensor]
Peers = Sequence[torch.Tensor] | torch.Tensor


def soft_kl(
    target: torch.Tensor, student: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 KL(target || student) of logits (B, C), target detached."""
    log_q = functional.log_softmax(student / temperature, dim=1)
    p = functional.softmax(target.detach() / temperature, dim=1)
    kl = functional.kl_div(log_q, p, reduction='batchmean')
    return temperature**2 * kl


def hard_rows(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Hard loss of every row of similarities (B, B) within a batch: (B,)."""
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives = (labels[:, None] == labels) & ~own
    denominator = logits.masked_fill(own, float('-inf')).logsumexp(1)
    return denominator - (logits * positives).sum(1) / positives.sum(1)


def batch_terms(
    embeddings: Peers,
    labels: torch.Tensor,
    temperature: float = 0.1,
    kd_temperature: float = 3.0,
    soft_exclude_self: bool = False,
) -> Terms:
    """Unweighted terms within a batch; M tensors (B, d), labels (B,)."""

    peers = range(len(embeddings))
    pairs = [
        [embeddings[a] @ embeddings[b].T / temperature for b in peers]
        for a in peers
    ]
    soft = pairs
    if soft_exclude_self:
        soft = [[_without_self(logits) for logits in row] for row in pairs]
    terms = _zeros(embeddings[0])
    for a in peers:
        terms['loss_vcl'] += hard_rows(pairs[a][a], labels).mean()
        for b in peers:
            if a == b:
                continue
            terms['loss_icl'] += hard_rows(pairs[a][b], labels).mean()
            terms['loss_soft_vcl'] += soft_kl(
                soft[b][b], soft[a][a], kd_temperature
            )
            terms['loss_soft_icl'] += soft_kl(
                soft[b][a], soft[a][b], kd_temperature
            )
    return terms


def memory_terms(
    embeddings: Peers,
    banks: Peers,
    pos_idx: torch.Tensor,
    neg_idx: torch.Tensor,
    temperature: float = 0.07,
    kd_temperature: float = 3.0,
) -> Terms:
    """Unweighted terms against banks; every bank is gathered M times.

    Args:
        embeddings: M tensors (B, d).
        banks: M tensors (n, d).
        pos_idx: (B, 1 + P), column 0 is the sample itself.
        neg_idx: (B, K).
        temperature: tau.
        kd_temperature: T.
    """
    index = torch.cat([pos_idx, neg_idx], 1)
    num_positives = pos_idx.shape[1] - 1

    def logits(bank: int, anchor: int) -> torch.Tensor:
        entries = banks[bank][index]
        product = torch.bmm(entries, embeddings[anchor][:, :, None])
        return product[:, :, 0] / temperature

    def hard(rows: torch.Tensor, positives: int) -> torch.Tensor:
        return (rows.logsumexp(1) - rows[:, :positives].mean(1)).mean()

    peers = range(len(embeddings))
    pairs = [[logits(i, j) for j in peers] for i in peers]
    terms = _zeros(embeddings[0])
    for i in peers:
        intra = pairs[i][i][:, 1:]
        terms['loss_vcl'] += hard(intra, num_positives)
        for j in peers:
            if i == j:
                continue
            terms['loss_icl'] += hard(pairs[i][j], 1 + num_positives)
            terms['loss_soft_vcl'] += soft_kl(
                pairs[j][j][:, 1:], intra, kd_temperature
            )
            terms['loss_soft_icl'] += soft_kl(
                pairs[j][i], pairs[i][j], kd_temperature
            )
    return terms


def update_banks(
    banks: Peers,
    sample_idx: Sequence[int],
    embeddings: Peers,
    momentum: float = 0.5,
) -> None:
    """Write the samples into the banks, the last of equal ones wins."""
    for bank, embeds in zip(banks, embeddings, strict=True):
        before = bank.clone()
        for row, index in enumerate(sample_idx):
            mixed = momentum * before[index] + (1 - momentum) * embeds[row]
            bank[index] = functional.normalize(mixed, dim=0)


def moco_terms(
    queries: Peers,
    keys: Peers,
    queues: Peers,
    temperature: float = 0.07,
    kd_temperature: float = 3.0,
) -> Terms:
    """Unweighted terms against queues (d, L); keys M tensors (B, d)."""

    def logits(a: int, b: int) -> torch.Tensor:
        positive = (queries[a] * keys[b].detach()).sum(1, keepdim=True)
        return torch.cat([positive, queries[a] @ queues[b]], 1) / temperature

    def hard(rows: torch.Tensor) -> torch.Tensor:
        target = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        return functional.cross_entropy(rows, target)

    peers = range(len(queries))
    pairs = [[logits(a, b) for b in peers] for a in peers]
    terms = _zeros(queries[0])
    for a in peers:
        terms['loss_vcl'] += hard(pairs[a][a])
        for b in peers:
            if a == b:
                continue
            terms['loss_icl'] += hard(pairs[a][b])
            terms['loss_soft_vcl'] += soft_kl(
                pairs[b][b], pairs[a][a], kd_temperature
            )
            terms['loss_soft_icl'] += soft_kl(
                pairs[b][a], pairs[a][b], kd_temperature
            )
    return terms


def _zeros(like: torch.Tensor) -> Terms:
    names = ('loss_vcl', 'loss_soft_vcl', 'loss_icl', 'loss_soft_icl')
    return {name: like.new_zeros(()) for name in names}


def _without_self(logits: torch.Tensor) -> torch.Tensor:
    """Drop the diagonal: (B, B) to (B, B - 1)."""
    size = len(logits)
    own = torch.eye(size, dtype=torch.bool, device=logits.device)
    return logits[~own].view(size, size - 1)
