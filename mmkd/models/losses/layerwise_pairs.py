"""What the two forms of layer-wise mutual contrastive learning share.

Symbols: N peers, S stages of each, E = N * S embeddings of width d, B
anchors, C contrasted samples. A pair of layers is (i, k, j, z): stage k of
peer i and stage z of peer j, i != j.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: (N, S, B, d), or a list of N lists of S tensors (B, d)
LayerEmbeddings = Sequence[Sequence[torch.Tensor]] | torch.Tensor


def flat_layers(
    owner: str, embeddings: LayerEmbeddings
) -> tuple[list[torch.Tensor], int, int]:
    """Return the embeddings in the order of peers, then stages; N and S.

    Raises:
        ValueError: the peers do not have equally many stages.
    """
    counts = [len(stages) for stages in embeddings]
    if not counts or 0 in counts or len(set(counts)) > 1:
        raise ValueError(
            f'{owner}: embeddings must be (N, S, B, d), or N lists of S '
            f'tensors (B, d); got {counts} stages of the peers: refine '
            'equally many stages of each'
        )
    flat = [stage for stages in embeddings for stage in stages]
    return flat, len(counts), counts[0]


def flat_weights(
    owner: str,
    pair_weights: torch.Tensor | None,
    like: torch.Tensor,
    num_peers: int,
) -> torch.Tensor:
    """Return the weights of all pairs as (B, E, E); 0 within a peer.

    Args:
        owner: for messages.
        pair_weights: (N, S, N, S, B); None is 1 everywhere.
        like: embeddings (E, B, d).
        num_peers: N.

    Raises:
        ValueError: another shape.
    """
    total, batch = like.shape[:2]
    num_stages = total // num_peers
    shape = (num_peers, num_stages, num_peers, num_stages, batch)
    if pair_weights is None:
        pair_weights = like.new_ones(shape)
    if tuple(pair_weights.shape) != shape:
        raise ValueError(
            f'{owner}: pair_weights must be (peers, stages, peers, stages, '
            f'batch), {shape}, got {tuple(pair_weights.shape)}; take those '
            'that LayerMatchingNetwork gives for the same batch'
        )
    weights = pair_weights.to(like.dtype).reshape(total, total, batch)
    other = different_peers(num_peers, num_stages, like.device)
    return (weights * other[..., None]).permute(2, 0, 1)


def different_peers(
    num_peers: int, num_stages: int, device: torch.device
) -> torch.Tensor:
    """Return (E, E): whether two layers are of different peers."""
    owner = torch.arange(num_peers, device=device)
    owner = owner.repeat_interleave(num_stages)
    return owner[:, None] != owner


def pair_weights_from_list(
    weights: torch.Tensor, num_peers: int, num_stages: int
) -> torch.Tensor:
    """Return weights (N, S, N, S, B) from those of all pairs in a row.

    Args:
        weights: (N (N - 1) S^2, B), in the order of the authors' code: for
            i, for j != i, for k, for z.
        num_peers: N.
        num_stages: S.

    Raises:
        ValueError: another number of pairs.
    """
    pairs = [
        (i, k, j, z)
        for i in range(num_peers)
        for j in range(num_peers)
        if i != j
        for k in range(num_stages)
        for z in range(num_stages)
    ]
    if len(weights) != len(pairs):
        raise ValueError(
            f'pair_weights_from_list: {num_peers} peers of {num_stages} '
            f'stages make {len(pairs)} pairs, got {len(weights)}; give one '
            'row for each'
        )
    shape = (num_peers, num_stages, num_peers, num_stages, weights.shape[1])
    index = torch.tensor(pairs, device=weights.device).unbind(1)
    return weights.new_zeros(shape).index_put(index, weights)


def pairwise_kl(students: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return KL(target f || student e) for all pairs, by one product.

    Args:
        students: (..., E, C) log-probabilities.
        targets: (..., F, C) log-probabilities; detached here.

    Returns:
        (..., E, F).
    """
    targets = targets.detach()
    # a common origin: the divergence is no difference of large numbers
    origin = students.detach().mean(-2, keepdim=True)
    p = targets.exp()
    own = (p * (targets - origin)).sum(-1)
    return own[..., None, :] - (students - origin) @ p.transpose(-1, -2)
