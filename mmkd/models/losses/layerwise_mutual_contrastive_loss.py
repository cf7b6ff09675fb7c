"""Mutual contrastive learning between all stages of all peers."""

from __future__ import annotations

from typing import Any

import torch

from mmkd.models.losses.layerwise_pairs import (
    LayerEmbeddings,
    flat_layers,
    flat_weights,
    pairwise_kl,
)
from mmkd.models.losses.mutual_contrastive_loss import (
    EXCLUDED,
    MutualContrastiveLoss,
)
from mmkd.models.losses.precision import no_autocast
from mmkd.registry import MODELS
from mmkd.utils.dist import get_world_size
from mmkd.utils.gather import gather_rows_with_grad
from mmkd.utils.indices import check_labels


@MODELS.register_module()
class LayerwiseMutualContrastiveLoss(MutualContrastiveLoss):
    """Contrast every stage of every peer with all stages of the others.

    For a pair of layers a (stage k of peer i) and b (stage z of peer j,
    i != j) with a weight w_r for every anchor r, and h_r, KL_r, s as in
    `MutualContrastiveLoss` before the mean over rows:

    ``loss_vcl`` = mean_r w_r [h_r(s_aa) + h_r(s_bb)],
    ``loss_soft_vcl`` = mean_r w_r [KL_r(s_bb -> s_aa) + KL_r(s_aa -> s_bb)],
    ``loss_icl`` = mean_r w_r [h_r(s_ab) + h_r(s_ba)],
    ``loss_soft_icl`` = mean_r w_r [KL_r(s_ba -> s_ab) + KL_r(s_ab -> s_ba)],

    each summed over all ordered pairs, N (N - 1) S^2 of them. As published,
    every unordered pair thus counts twice. All similarities come from one
    product. The loss can be differentiated twice, with respect to embeddings
    and weights. Paper: https://arxiv.org/abs/2207.11518, section 3.

    Args:
        average_pairs: divide all terms by the number of ordered pairs.
        others: see `MutualContrastiveLoss`.

    Shape:
        embeddings: (N, S, B, d) unit vectors, or N lists of S tensors.
        labels: (B,) integers.
        pair_weights: (N, S, N, S, B); entries of one and the same peer are
            not read. None is 1 everywhere.
        returns: dict of four scalars.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        kd_temperature: float = 3.0,
        vcl_weight: float = 0.1,
        soft_vcl_weight: float = 1.0,
        icl_weight: float = 0.1,
        soft_icl_weight: float = 1.0,
        average_pairs: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(
            temperature,
            kd_temperature,
            vcl_weight,
            soft_vcl_weight,
            icl_weight,
            soft_icl_weight,
            **others,
        )
        self.average_pairs = average_pairs

    def forward(  # type: ignore[override]
        self,
        embeddings: LayerEmbeddings,
        labels: torch.Tensor,
        pair_weights: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms.

        Raises:
            ValueError: unequal embeddings or numbers of stages, weights of
                another shape, labels that are not one integer per sample, or
                a sample without partner of its class.
        """
        owner = type(self).__name__
        flat, num_peers, _ = flat_layers(owner, embeddings)
        anchors = self.stack('embeddings', flat)
        check_labels(owner, labels, anchors.shape[1])
        positives, own = self._partners(labels, anchors.dtype)
        with no_autocast(anchors):
            weights = flat_weights(owner, pair_weights, anchors, num_peers)
            # both members of a pair get its weight
            weights = weights + weights.transpose(1, 2)
            if self.average_pairs:
                weights = weights / pair_count(num_peers, len(anchors))
            logits = self._by_row(anchors)
            others = logits + EXCLUDED * own[:, None, None]
            hard = self._hard(logits, others, positives)
            soft = others if self.soft_exclude_self else logits
            log_p = (soft / self.kd_temperature).log_softmax(-1)
            own_hard, own_log_p = _diagonal(hard), _diagonal(log_p)
            scale = self.kd_temperature**2 / len(labels)
            return self.weighted(
                (weights.sum(2) * own_hard).sum(),
                scale * (weights * pairwise_kl(own_log_p, own_log_p)).sum(),
                (weights * hard).sum(),
                scale * (weights * _mirrored_kl(log_p)).sum(),
            )

    def _by_row(self, anchors: torch.Tensor) -> torch.Tensor:
        """Return all s (B, E, E, C), [r, a, b, c], by one product."""
        total, batch, width = anchors.shape
        columns = anchors
        if self.gather and get_world_size() > 1:
            gathered = gather_rows_with_grad(anchors.transpose(0, 1))
            columns = gathered.transpose(0, 1)
        rows = anchors.transpose(0, 1).reshape(-1, width) / self.temperature
        logits = rows @ columns.reshape(-1, width).T
        return logits.view(batch, total, total, -1)

    def _hard(
        self,
        logits: torch.Tensor,
        others: torch.Tensor,
        positives: torch.Tensor,
    ) -> torch.Tensor:
        """Return h_r(s_ab), times the share of row r, as (B, E, E)."""
        batch, total = logits.shape[:2]
        near = logits.flatten(1, 2) @ positives[..., None]
        share = positives.sum(1)[:, None, None]
        return others.logsumexp(-1) * share - near.view(batch, total, total)


def pair_count(num_peers: int, num_layers: int) -> int:
    """Return the number of ordered pairs, N (N - 1) S^2."""
    return num_layers**2 * (num_peers - 1) // num_peers or 1


def _diagonal(pairs: torch.Tensor) -> torch.Tensor:
    """Return the entries [:, a, a] of (B, E, E, ...)."""
    found = pairs.diagonal(dim1=1, dim2=2)
    return found.movedim(-1, 1)


def _mirrored_kl(log_p: torch.Tensor) -> torch.Tensor:
    """Return KL(p_ba[r] || p_ab[r]) as (B, E, E), p_ba detached."""
    target = log_p.detach().transpose(1, 2)
    return (target.exp() * (target - log_p)).sum(-1)
