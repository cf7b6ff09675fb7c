"""Layer-wise mutual contrastive learning against remembered embeddings."""

from __future__ import annotations

from typing import Any

import torch

from mmkd.models.losses.layerwise_mutual_contrastive_loss import pair_count
from mmkd.models.losses.layerwise_pairs import (
    LayerEmbeddings,
    flat_layers,
    flat_weights,
    pairwise_kl,
)
from mmkd.models.losses.memory_mutual_contrastive_loss import (
    MemoryMutualContrastiveLoss,
)
from mmkd.models.losses.precision import no_autocast
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first

INTRA_BANKS = ('own', 'first')


@MODELS.register_module()
class MemoryLayerwiseMutualContrastiveLoss(MemoryMutualContrastiveLoss):
    """Contrast every stage of every peer with the banks of all peers.

    A peer has one bank, of the embeddings of its last stage. For a pair of
    layers a (of peer i) and b (of peer j), weights w and the logits
    l_nv[r] = bank_n[idx_r] . v[r] / tau of `MemoryMutualContrastiveLoss`:

    ``loss_vcl`` = mean_r w_r [h_r(l_ia) + h_r(l_jb)] on the intra set,
    ``loss_soft_vcl`` = mean_r w_r [KL_r(l_jb -> l_ia) + KL_r(l_ia -> l_jb)]
    on the intra set,
    ``loss_icl`` = mean_r w_r [h_r(l_ib) + h_r(l_ja)],
    ``loss_soft_icl`` = mean_r w_r [KL_r(l_ib -> l_ja) + KL_r(l_ja -> l_ib)],

    each summed over all ordered pairs. Each bank is read once. The banks are
    updated after scoring, with the last stage. The loss can be
    differentiated twice. Paper: https://arxiv.org/abs/2207.11518, its form
    for ImageNet.

    Args:
        num_peers: N.
        num_samples: n, length of the training set.
        feat_dim: d, width of the embeddings.
        temperature, kd_temperature, momentum, vcl_weight, soft_vcl_weight,
            icl_weight, soft_icl_weight: see `MemoryMutualContrastiveLoss`.
        intra_bank: the bank of layer b in the two intra terms: its ``'own'``
            (l_jb), or that of the ``'first'`` of the pair (l_ib), as in the
            authors' code.
        average_pairs: divide all terms by the number of ordered pairs.
        save_banks: see `MemoryMutualContrastiveLoss`.

    Shape:
        embeddings: (N, S, B, d) unit vectors, or N lists of S tensors.
        pos_idx: (B, 1 + P); column 0 is the sample itself.
        neg_idx: (B, K).
        pair_weights: (N, S, N, S, B); None is 1 everywhere.
        returns: dict of four scalars.

    Raises:
        ValueError: an unknown ``intra_bank``.
    """

    def __init__(
        self,
        num_peers: int,
        num_samples: int,
        feat_dim: int = 128,
        temperature: float = 0.07,
        kd_temperature: float = 3.0,
        momentum: float = 0.5,
        vcl_weight: float = 0.01,
        soft_vcl_weight: float = 1.0,
        icl_weight: float = 0.01,
        soft_icl_weight: float = 1.0,
        intra_bank: str = 'own',
        average_pairs: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(
            num_peers,
            num_samples,
            feat_dim,
            temperature,
            kd_temperature,
            momentum,
            vcl_weight,
            soft_vcl_weight,
            icl_weight,
            soft_icl_weight,
            **others,
        )
        if intra_bank not in INTRA_BANKS:
            raise ValueError(
                f'{type(self).__name__}: intra_bank={intra_bank!r} is '
                f'unknown; choose one of {INTRA_BANKS}'
            )
        self.intra_bank = intra_bank
        self.average_pairs = average_pairs

    def forward(  # type: ignore[override]
        self,
        embeddings: LayerEmbeddings,
        pos_idx: torch.Tensor,
        neg_idx: torch.Tensor,
        pair_weights: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms, then (in training) update the banks.

        Raises:
            ValueError: embeddings, weights or indices that do not fit each
                other or the settings.
        """
        owner = type(self).__name__
        flat, num_peers, num_stages = flat_layers(owner, embeddings)
        anchors = self.stack('embeddings', flat)
        last = anchors[num_stages - 1 :: num_stages]
        self.check_size('embeddings', last, self.num_peers, self.feat_dim)
        self._check_indices(anchors.shape[1], pos_idx, neg_idx)
        if self.training and not self._banks_shared:
            broadcast_from_first([self.banks])
            self._banks_shared = True
        with no_autocast(anchors):
            weights = flat_weights(owner, pair_weights, anchors, num_peers)
            if self.average_pairs:
                weights = weights / pair_count(num_peers, len(anchors))
            logits = self._logits(anchors, torch.cat([pos_idx, neg_idx], 1))
            terms = self._terms(logits, weights, pos_idx.shape[1])
            if self.training:
                self._remember(last.detach(), pos_idx[:, 0])
        return terms

    def _terms(
        self, logits: torch.Tensor, weights: torch.Tensor, positives: int
    ) -> dict[str, torch.Tensor]:
        """Return the weighted terms.

        Args:
            logits: l (N banks, B, E anchors, C).
            weights: (B, E, E) of the ordered pairs.
            positives: 1 + P, the first columns.
        """
        num_banks, batch = logits.shape[:2]
        scale = self.kd_temperature**2 / batch
        intra_sums = (
            self._own_intra if self.intra_bank == 'own' else self._first_intra
        )
        vcl, soft_vcl = intra_sums(logits[..., 1:], weights, positives - 1)
        # both members of a pair get its weight
        weights = weights + weights.transpose(1, 2)
        by_peer = weights.unflatten(2, (num_banks, -1))
        of_banks = by_peer.sum(3).permute(2, 0, 1)  # [bank, r, anchor]
        icl = (of_banks * _hard(logits, positives)).sum()
        log_p = self._log_p(logits).unflatten(2, (num_banks, -1))
        by_pair = by_peer.unflatten(1, (num_banks, -1))
        soft_icl = weights.new_zeros(())
        for i in range(num_banks):
            for j in range(num_banks):
                if i != j:
                    kl = pairwise_kl(log_p[j, :, i], log_p[i, :, j])
                    soft_icl = soft_icl + (by_pair[:, i, :, j] * kl).sum()
        return self.weighted(
            vcl / batch, scale * soft_vcl, icl / batch, scale * soft_icl
        )

    def _own_intra(
        self, logits: torch.Tensor, weights: torch.Tensor, positives: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sums of both intra terms, each layer by its own bank."""
        num_banks = len(logits)
        weights = weights + weights.transpose(1, 2)
        by_peer = logits.unflatten(2, (num_banks, -1))
        own = torch.cat([by_peer[n, :, n] for n in range(num_banks)], 1)
        hard = (weights.sum(2) * _hard(own, positives)).sum()
        log_p = self._log_p(own)
        return hard, (weights * pairwise_kl(log_p, log_p)).sum()

    def _first_intra(
        self, logits: torch.Tensor, weights: torch.Tensor, positives: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the same, both layers by the bank of the first."""
        num_banks = len(logits)
        firsts = weights.unflatten(1, (num_banks, -1))
        hard = soft = weights.new_zeros(())
        for n in range(num_banks):
            pairs = torch.zeros_like(weights).unflatten(1, (num_banks, -1))
            pairs[:, n] = firsts[:, n]
            pairs = pairs.flatten(1, 2)
            pairs = pairs + pairs.transpose(1, 2)
            hard = hard + (pairs.sum(2) * _hard(logits[n], positives)).sum()
            log_p = self._log_p(logits[n])
            soft = soft + (pairs * pairwise_kl(log_p, log_p)).sum()
        return hard, soft

    def _log_p(self, logits: torch.Tensor) -> torch.Tensor:
        return (logits / self.kd_temperature).log_softmax(-1)


def _hard(logits: torch.Tensor, num_positives: int) -> torch.Tensor:
    """Negative mean log-probability of the first entries."""
    near = logits[..., :num_positives].mean(-1)
    return logits.logsumexp(-1) - near
