"""Mutual contrastive learning against remembered embeddings."""

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
from mmkd.models.memory.sample_banks import random_banks, update_banks
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first, gather_rows
from mmkd.utils.indices import FirstGpuBatches, check_index, is_integer


@MODELS.register_module()
class MemoryMutualContrastiveLoss(ContrastiveTerms):
    """Contrast every peer's embeddings with the banks of all peers.

    Anchor r of peer j against bank i: l_ij[r] = bank_i[idx_r] . v_j[r] / tau
    on the samples [itself | P positives | K negatives], the inter set; the
    intra set leaves out itself. With

    h(l) = mean_r [logsumexp l_r - mean of the positive entries of l_r],
    KL(t -> s) = T^2 mean_r KL(softmax(t_r / T) || softmax(s_r / T)),

    the terms are sums over peers or ordered pairs of them:

    ``loss_vcl`` = sum_i h(l_ii on the intra set, P positives),
    ``loss_soft_vcl`` = sum_{i != j} KL(l_jj -> l_ii) on the intra set,
    ``loss_icl`` = sum_{i != j} h(l_ij, 1 + P positives),
    ``loss_soft_icl`` = sum_{i != j} KL(l_ji -> l_ij).

    The targets of both KL terms and the banks are detached. With one peer
    all but the first are exactly 0. In training, each call writes the
    embeddings of all processes into the banks after scoring:
    bank_i[self] <- normalize(momentum bank_i[self] + (1 - momentum) v_i);
    of samples that occur twice the last counts, in the order of ranks.
    Paper: https://arxiv.org/abs/2104.12565, its form for ImageNet.

    Buffer: ``banks`` (M, n, d), those of rank 0 in every process.

    Args:
        num_peers: M.
        num_samples: n, length of the training set.
        feat_dim: d, width of the embeddings.
        temperature: tau.
        kd_temperature: T.
        momentum: share of the old row in an update, 0 to 1.
        vcl_weight: factor on ``loss_vcl``.
        soft_vcl_weight: factor on ``loss_soft_vcl``.
        icl_weight: factor on ``loss_icl``.
        soft_icl_weight: factor on ``loss_soft_icl``.
        save_banks: keep the banks in the ``state_dict``; without them a
            resumed run starts from random banks.

    Shape:
        embeddings: list of M unit-norm tensors (B, d), or (M, B, d). Half
            precision is computed in float32.
        pos_idx: (B, 1 + P) indices of samples; column 0 is the sample
            itself.
        neg_idx: (B, K).
        returns: dict of four scalars.
    """

    banks: torch.Tensor

    def __init__(
        self,
        num_peers: int,
        num_samples: int,
        feat_dim: int = 128,
        temperature: float = 0.07,
        kd_temperature: float = 3.0,
        momentum: float = 0.5,
        vcl_weight: float = 0.1,
        soft_vcl_weight: float = 1.0,
        icl_weight: float = 0.1,
        soft_icl_weight: float = 1.0,
        save_banks: bool = True,
    ) -> None:
        super().__init__(
            temperature,
            kd_temperature,
            vcl_weight,
            soft_vcl_weight,
            icl_weight,
            soft_icl_weight,
        )
        if not 0 <= momentum <= 1:
            raise ValueError(
                f'{type(self).__name__}: momentum={momentum} must lie '
                'between 0 and 1; set e.g. momentum=0.5'
            )
        self.num_peers = num_peers
        self.num_samples = num_samples
        self.feat_dim = feat_dim
        self.momentum = momentum
        banks = random_banks(num_peers, num_samples, feat_dim)
        self.register_buffer('banks', banks, persistent=save_banks)
        self._banks_shared = False
        self._may_look = FirstGpuBatches()

    def forward(
        self,
        embeddings: Embeddings,
        pos_idx: torch.Tensor,
        neg_idx: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms, then (in training) update the banks.

        Raises:
            ValueError: embeddings or indices that do not fit each other or
                the settings.
        """
        anchors = self.stack('embeddings', embeddings)
        self.check_size('embeddings', anchors, self.num_peers, self.feat_dim)
        self._check_indices(anchors.shape[1], pos_idx, neg_idx)
        if self.training and not self._banks_shared:
            broadcast_from_first([self.banks])
            self._banks_shared = True
        with no_autocast(anchors):
            logits = self._logits(anchors, torch.cat([pos_idx, neg_idx], 1))
            intra = own_logits(logits)[..., 1:]
            hard = _hard(logits, pos_idx.shape[1]).mean(1)
            terms = self.weighted(
                _hard(intra, pos_idx.shape[1] - 1).mean(1).sum(),
                intra_kl(intra, self.kd_temperature),
                off_diagonal_sum(hard),
                inter_kl(logits, self.kd_temperature),
            )
            if self.training:
                self._remember(anchors.detach(), pos_idx[:, 0])
        return terms

    def _logits(
        self, anchors: torch.Tensor, index: torch.Tensor
    ) -> torch.Tensor:
        """Return l (M banks, B, M anchors, C); each bank is read once."""
        rows = anchors.transpose(0, 1) / self.temperature
        return torch.stack(
            [
                rows @ bank[index].to(rows.dtype).transpose(1, 2)
                for bank in self.banks
            ]
        )

    def _remember(self, anchors: torch.Tensor, index: torch.Tensor) -> None:
        values = gather_rows(anchors.transpose(0, 1)).transpose(0, 1)
        update_banks(self.banks, gather_rows(index), values, self.momentum)

    def _check_indices(
        self, batch_size: int, pos_idx: torch.Tensor, neg_idx: torch.Tensor
    ) -> None:
        owner = type(self).__name__
        for name, index, columns, least in (
            ('pos_idx', pos_idx, '1 + num_positives', 2),
            ('neg_idx', neg_idx, 'num_negatives', 1),
        ):
            fits = index.ndim == 2 and len(index) == batch_size
            if not fits or index.shape[1] < least or not is_integer(index):
                raise ValueError(
                    f'{owner}: {name} must be integers ({batch_size}, '
                    f'{columns}) with at least {least} columns, got '
                    f'{index.dtype} {tuple(index.shape)}; draw the indices '
                    'of this batch by ContrastIndices'
                )
        if not self._may_look(pos_idx):
            return
        check_index(owner, 'pos_idx', pos_idx, self.num_samples)
        check_index(owner, 'neg_idx', neg_idx, self.num_samples)


def _hard(logits: torch.Tensor, num_positives: int) -> torch.Tensor:
    """Negative mean log-probability of the first entries: (M, B, ...)."""
    return -logits.log_softmax(-1)[..., :num_positives].mean(-1)
