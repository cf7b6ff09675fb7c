"""L-MCL pair by pair: the yardstick of tests and benchmarks.

Every ordered pair of layers with matrices of similarities of its own, as
one would write the losses down from the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn import functional

from tests.references.mcl import Terms, _without_self, _zeros, hard_rows

Layers = Sequence[Sequence[torch.Tensor]] | torch.Tensor


def ordered_pairs(
    num_peers: int, num_stages: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (i, k, j, z): for i, for j != i, for k, for z."""
    for i in range(num_peers):
        for j in range(num_peers):
            for k in range(num_stages if i != j else 0):
                for z in range(num_stages):
                    yield i, k, j, z


def kl_rows(
    target: torch.Tensor, student: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 KL(target || student) of every row; target detached: (B,)."""
    log_q = functional.log_softmax(student / temperature, dim=1)
    p = functional.softmax(target.detach() / temperature, dim=1)
    log_p = functional.log_softmax(target.detach() / temperature, dim=1)
    return temperature**2 * (p * (log_p - log_q)).sum(1)


def batch_terms(
    embeddings: Layers,
    labels: torch.Tensor,
    weights: torch.Tensor,
    temperature: float = 0.1,
    kd_temperature: float = 3.0,
    soft_exclude_self: bool = False,
) -> Terms:
    """Unweighted terms; embeddings [i][k] (B, d), weights (N,S,N,S,B)."""
    terms = _zeros(embeddings[0][0])
    cut = _without_self if soft_exclude_self else lambda logits: logits
    for i, k, j, z in ordered_pairs(len(embeddings), len(embeddings[0])):
        a, b, w = embeddings[i][k], embeddings[j][z], weights[i, k, j, z]
        aa, bb, ab, ba = (
            x @ y.T / temperature for x, y in ((a, a), (b, b), (a, b), (b, a))
        )

        def hard(s: torch.Tensor, w: torch.Tensor = w) -> torch.Tensor:
            return (w * hard_rows(s, labels)).mean()

        def soft(
            t: torch.Tensor, s: torch.Tensor, w: torch.Tensor = w
        ) -> torch.Tensor:
            return (w * kl_rows(cut(t), cut(s), kd_temperature)).mean()

        terms['loss_vcl'] += hard(aa) + hard(bb)
        terms['loss_icl'] += hard(ab) + hard(ba)
        terms['loss_soft_vcl'] += soft(bb, aa) + soft(aa, bb)
        terms['loss_soft_icl'] += soft(ba, ab) + soft(ab, ba)
    return terms


def memory_terms(
    embeddings: Layers,
    banks: Sequence[torch.Tensor] | torch.Tensor,
    pos_idx: torch.Tensor,
    neg_idx: torch.Tensor,
    weights: torch.Tensor,
    temperature: float = 0.07,
    kd_temperature: float = 3.0,
    intra_bank: str = 'own',
) -> Terms:
    """Unweighted terms against banks, each gathered for every pair."""
    index = torch.cat([pos_idx, neg_idx], 1)
    positives = pos_idx.shape[1]
    terms = _zeros(embeddings[0][0])
    for i, k, j, z in ordered_pairs(len(embeddings), len(embeddings[0])):
        a, b, w = embeddings[i][k], embeddings[j][z], weights[i, k, j, z]

        def against(bank: int, anchor: torch.Tensor) -> torch.Tensor:
            product = torch.bmm(banks[bank][index], anchor[:, :, None])
            return product[:, :, 0] / temperature

        def hard(
            rows: torch.Tensor, count: int, w: torch.Tensor = w
        ) -> torch.Tensor:
            loss = rows.logsumexp(1) - rows[:, :count].mean(1)
            return (w * loss).mean()

        def soft(
            t: torch.Tensor, s: torch.Tensor, w: torch.Tensor = w
        ) -> torch.Tensor:
            return (w * kl_rows(t, s, kd_temperature)).mean()

        inter_a, inter_b = against(j, a), against(i, b)
        intra_a = against(i, a)[:, 1:]
        intra_b = against(j if intra_bank == 'own' else i, b)[:, 1:]
        terms['loss_vcl'] += hard(intra_a, positives - 1)
        terms['loss_vcl'] += hard(intra_b, positives - 1)
        terms['loss_icl'] += hard(inter_a, positives)
        terms['loss_icl'] += hard(inter_b, positives)
        terms['loss_soft_vcl'] += soft(intra_b, intra_a)
        terms['loss_soft_vcl'] += soft(intra_a, intra_b)
        terms['loss_soft_icl'] += soft(inter_b, inter_a)
        terms['loss_soft_icl'] += soft(inter_a, inter_b)
    return terms


def unrolled_meta_gradient(
    inner: Callable[..., torch.Tensor],
    outer: Callable[..., torch.Tensor],
    theta: Sequence[torch.Tensor],
    phi: Sequence[torch.Tensor],
    lr: float,
    momentum: float,
    weight_decay: float,
    num_inner_steps: int,
) -> tuple[torch.Tensor, ...]:
    """Differentiate through all virtual steps, their graphs kept.

    Args:
        inner: of (theta, phi). outer: of theta.
    """
    points = list(theta)
    buffers = [torch.zeros_like(p) for p in points]
    for step in range(num_inner_steps + 1):
        is_inner = step < num_inner_steps
        loss = inner(points, phi) if is_inner else outer(points)
        grads = torch.autograd.grad(
            loss, points, create_graph=True, allow_unused=True
        )
        for k, (p, g) in enumerate(zip(points, grads, strict=True)):
            g = torch.zeros_like(p) if g is None else g
            buffers[k] = momentum * buffers[k] + g + weight_decay * p
        points = [p - lr * v for p, v in zip(points, buffers, strict=True)]
    return torch.autograd.grad(outer(points), phi)
