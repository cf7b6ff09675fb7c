"""Mutual contrastive learning among the samples of a batch."""

from __future__ import annotations

import torch

from mmkd.models.losses.contrastive_kl import inter_kl, intra_kl
from mmkd.models.losses.contrastive_terms import (
    ContrastiveTerms,
    Embeddings,
    off_diagonal_sum,
    own_logits,
)
from mmkd.models.losses.gram import gram
from mmkd.models.losses.precision import no_autocast
from mmkd.registry import MODELS
from mmkd.utils.dist import gather_rows, get_rank, get_world_size
from mmkd.utils.gather import gather_rows_with_grad
from mmkd.utils.indices import FirstGpuBatches, check_labels

# Added to the logit of a sample that is left out: its probability is exactly
# 0 and, unlike with minus infinity, nothing is undefined.
EXCLUDED = -1e30


@MODELS.register_module()
class MutualContrastiveLoss(ContrastiveTerms):
    """Contrast every peer's embeddings with its own and the other peers'.

    With unit vectors v_a of peer a, s_ab[r, c] = v_a[r] . v_b[c] / tau, the
    samples Pos(r) of the class of r except r itself, and

    h(s) = mean_r [log sum_{c != r} exp s_rc - mean_{c in Pos(r)} s_rc],
    KL(t -> s) = T^2 mean_r KL(softmax(t_r / T) || softmax(s_r / T)),

    the terms are sums over peers or ordered pairs of them:

    ``loss_vcl`` = sum_a h(s_aa),
    ``loss_soft_vcl`` = sum_{a != b} KL(s_bb -> s_aa),
    ``loss_icl`` = sum_{a != b} h(s_ab),
    ``loss_soft_icl`` = sum_{a != b} KL(s_ba -> s_ab).

    The targets of both KL terms are detached. With one peer all but the
    first are exactly 0. Paper: https://arxiv.org/abs/2104.12565.

    Args:
        temperature: tau.
        kd_temperature: T.
        vcl_weight: factor on ``loss_vcl``.
        soft_vcl_weight: factor on ``loss_soft_vcl``.
        icl_weight: factor on ``loss_icl``.
        soft_icl_weight: factor on ``loss_soft_icl``.
        soft_exclude_self: leave c = r out of the KL terms as well, as the
            paper's notation has it; the published code includes it.
        ignore_lonely: leave samples without any partner of their class out
            of the two hard terms, instead of raising an error.
        gather: contrast with the samples of all processes, which must hold
            equally many. Each computes the loss of its own anchors; with
            gradients averaged over the processes, as
            DistributedDataParallel does, training equals one process with
            the whole batch.

    Shape:
        embeddings: list of M unit-norm tensors (B, d), or (M, B, d). Half
            precision is computed in float32.
        labels: (B,) integers.
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
        soft_exclude_self: bool = False,
        ignore_lonely: bool = False,
        gather: bool = False,
    ) -> None:
        super().__init__(
            temperature,
            kd_temperature,
            vcl_weight,
            soft_vcl_weight,
            icl_weight,
            soft_icl_weight,
        )
        self.soft_exclude_self = soft_exclude_self
        self.ignore_lonely = ignore_lonely
        self.gather = gather
        self._may_look = FirstGpuBatches()

    def forward(
        self, embeddings: Embeddings, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms.

        Raises:
            ValueError: unequal embeddings, labels that are not one integer
                per sample, or a sample without partner of its class.
        """
        anchors = self.stack('embeddings', embeddings)
        check_labels(type(self).__name__, labels, anchors.shape[1])
        positives, own = self._partners(labels, anchors.dtype)
        with no_autocast(anchors):
            logits = self._similarities(anchors)
            others = logits + EXCLUDED * own[:, None]
            hard = others.log_softmax(-1) * positives[:, None]
            hard = -hard.sum((1, 3))  # (M, M)
            soft = others if self.soft_exclude_self else logits
            return self.weighted(
                hard.trace(),
                intra_kl(own_logits(soft), self.kd_temperature),
                off_diagonal_sum(hard),
                inter_kl(soft, self.kd_temperature),
            )

    def _similarities(self, anchors: torch.Tensor) -> torch.Tensor:
        """Return all s (M, B, M, C) by one matrix product."""
        size, scale = anchors.shape[:2], 1 / self.temperature
        rows = anchors.flatten(0, 1)
        if not self.gather or get_world_size() == 1:
            return gram(rows, scale).view(*size, *size)
        samples = gather_rows_with_grad(anchors.transpose(0, 1))
        columns = samples.transpose(0, 1).flatten(0, 1)
        return (scale * rows @ columns.T).view(*size, size[0], len(samples))

    def _partners(
        self, labels: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights of the positives, and 1 at the anchor: (B, C).

        The weights of an anchor add up to its share in the mean over rows.
        """
        begin, world_size, everyone = 0, 1, labels
        if self.gather:
            begin, world_size = get_rank() * len(labels), get_world_size()
            everyone = gather_rows(labels)
        same = everyone[:, None] == everyone
        partners = same.sum(1) - 1
        self._check_lonely(partners)
        mine = slice(begin, begin + len(labels))
        own = torch.eye(len(everyone), dtype=dtype, device=labels.device)[mine]
        positives = same[mine].to(dtype) - own
        rows: torch.Tensor | int = len(labels)
        if self.ignore_lonely:
            rows = (partners > 0).sum().clamp(min=1) / world_size
            partners = partners.clamp(min=1)
        return positives / (partners[mine, None] * rows), own

    def _check_lonely(self, partners: torch.Tensor) -> None:
        if self.ignore_lonely or not self._may_look(partners):
            return
        lonely = int((partners < 1).sum())
        if lonely:
            raise ValueError(
                f'{type(self).__name__}: class-aware sampler needed: {lonely} '
                f'of {len(partners)} samples have no same-class partner in '
                "the batch; set sampler=dict(type='mmkd.ClassAwareSampler', "
                '...), or ignore_lonely=True'
            )
