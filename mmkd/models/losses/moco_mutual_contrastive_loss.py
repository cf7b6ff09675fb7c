"""Mutual contrastive learning against queues of keys."""

from __future__ import annotations

import torch

from mmkd.models.losses.contrastive_kl import inter_kl, intra_kl
from mmkd.models.losses.contrastive_terms import (
    ContrastiveTerms,
    Embeddings,
    off_diagonal_sum,
    own_logits,
)
from mmkd.models.losses.precision import no_autocast
from mmkd.models.memory.class_queue import random_queue
from mmkd.models.memory.key_queue import enqueue_keys
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first, gather_rows


@MODELS.register_module()
class MoCoMutualContrastiveLoss(ContrastiveTerms):
    """Contrast every peer's queries with the keys and queues of all peers.

    Queries of peer a against peer b: l_ab[r] = [q_a[r] . k_b[r], q_a[r] .
    queue_b] / tau; entry 0, the key of the same image, is the only
    positive. With

    CE(l) = mean_r [logsumexp l_r - l_r0],
    KL(t -> s) = T^2 mean_r KL(softmax(t_r / T) || softmax(s_r / T)),

    the terms are sums over peers or ordered pairs of them:

    ``loss_vcl`` = sum_a CE(l_aa),
    ``loss_soft_vcl`` = sum_{a != b} KL(l_bb -> l_aa),
    ``loss_icl`` = sum_{a != b} CE(l_ab),
    ``loss_soft_icl`` = sum_{a != b} KL(l_ba -> l_ab).

    The targets of both KL terms, keys and queues are detached. With one
    peer, what remains is MoCo's loss. In training, each call writes the
    keys of all processes into the queues after scoring, in the order of
    ranks: a column holds the same image in all queues. Paper:
    https://arxiv.org/abs/2104.12565, its self-supervised form.

    Buffers: ``queue`` (M, d, L) of unit columns, ``queue_ptr`` (M,); those
    of rank 0 in every process.

    Args:
        num_peers: M.
        feat_dim: d, width of the embeddings.
        queue_size: L, at least the batch of all processes. If it is no
            multiple of it, a batch at the end of the queues goes on at
            their start.
        temperature: tau.
        kd_temperature: T.
        vcl_weight: factor on ``loss_vcl``.
        soft_vcl_weight: factor on ``loss_soft_vcl``.
        icl_weight: factor on ``loss_icl``.
        soft_icl_weight: factor on ``loss_soft_icl``.

    Shape:
        queries, keys: lists of M unit-norm tensors (B, d), or (M, B, d); of
            one peer also (B, d). Half precision is computed in float32.
        returns: dict of four scalars.
    """

    queue: torch.Tensor
    queue_ptr: torch.Tensor

    def __init__(
        self,
        num_peers: int,
        feat_dim: int = 128,
        queue_size: int = 65536,
        temperature: float = 0.07,
        kd_temperature: float = 3.0,
        vcl_weight: float = 1.0,
        soft_vcl_weight: float = 1.0,
        icl_weight: float = 1.0,
        soft_icl_weight: float = 1.0,
    ) -> None:
        super().__init__(
            temperature,
            kd_temperature,
            vcl_weight,
            soft_vcl_weight,
            icl_weight,
            soft_icl_weight,
        )
        self.num_peers = num_peers
        self.feat_dim = feat_dim
        self.queue_size = queue_size
        queue = random_queue(num_peers, queue_size, feat_dim).transpose(1, 2)
        self.register_buffer('queue', queue.contiguous())
        pointer = torch.zeros(num_peers, dtype=torch.long)
        self.register_buffer('queue_ptr', pointer)
        self._queues_shared = False

    def forward(
        self, queries: Embeddings, keys: Embeddings
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms, then (in training) enqueue the keys.

        Raises:
            ValueError: embeddings that do not fit each other or the
                settings, or a queue that is shorter than the batch.
        """
        anchors = self.stack('queries', _per_peer(queries))
        positives = self.stack('keys', _per_peer(keys))
        positives = positives.detach().to(anchors.dtype)
        self.check_size('queries', anchors, self.num_peers, self.feat_dim)
        if positives.shape != anchors.shape:
            raise ValueError(
                f'{type(self).__name__}: queries {tuple(anchors.shape)} and '
                f'keys {tuple(positives.shape)} (peers, batch, width) '
                'differ; give two views of the same images'
            )
        if self.training and not self._queues_shared:
            broadcast_from_first([self.queue, self.queue_ptr])
            self._queues_shared = True
        with no_autocast(anchors):
            logits = self._logits(anchors, positives)
            hard = -logits.log_softmax(-1)[..., 0].mean(1)
            terms = self.weighted(
                hard.trace(),
                intra_kl(own_logits(logits), self.kd_temperature),
                off_diagonal_sum(hard),
                inter_kl(logits, self.kd_temperature),
            )
            if self.training:
                self._enqueue(positives)
        return terms

    def _logits(
        self, anchors: torch.Tensor, positives: torch.Tensor
    ) -> torch.Tensor:
        """Return l (M, B, M, 1 + L); one product for all queues."""
        anchors = anchors / self.temperature
        # a copy: the queues change before the backward pass
        columns = torch.cat(list(self.queue), 1).to(anchors.dtype)
        negative = anchors @ columns
        positive = torch.einsum('ard,brd->arb', anchors, positives)
        return torch.cat(
            [
                positive[..., None],
                negative.unflatten(-1, (len(self.queue), -1)),
            ],
            -1,
        )

    def _enqueue(self, keys: torch.Tensor) -> None:
        keys = gather_rows(keys.transpose(0, 1)).transpose(0, 1)
        if self.queue_size < keys.shape[1]:
            raise ValueError(
                f'{type(self).__name__}: queue_size={self.queue_size} is '
                f'smaller than the batch of all processes, {keys.shape[1]}; '
                'enlarge queue_size (several batches at least), or reduce '
                'batch_size'
            )
        enqueue_keys(self.queue, self.queue_ptr, keys)


def _per_peer(embeddings: Embeddings) -> Embeddings:
    """Return the embeddings of one peer, (B, d), as those of a list."""
    if isinstance(embeddings, torch.Tensor) and embeddings.ndim == 2:
        return embeddings[None]
    return embeddings
