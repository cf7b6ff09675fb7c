"""Contrast with the banks of the other peers; the last one also imitates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort, check_roles, logits_of
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    mean_of,
)
from mmkd.registry import MODELS
from mmkd.utils.settings import require_dict


@MODELS.register_module()
class MultiViewContrastExchange(Exchange):
    """Multi-view contrast and a one-way transfer of logits (MCL-OKD).

    L = sum_i CE(z_i, y) + kd_weight KL_T(mean_j z_j || z_last)
        + contrast_weight L_con

    The mean holds the last peer's own logits and is detached; the other
    peers learn from labels and contrast alone. L_con is ``contrast``, by
    default `MemoryNCELoss`: embeddings against the banks of the other
    peers. Which training sample has which class is told by
    `DatasetLabelsHook`, so put it into ``custom_hooks``; the pipeline must
    pack ``sample_idx``. Deploy the last peer (``deploy=-1``).
    Paper: https://arxiv.org/abs/2006.04093.

    Args:
        contrast: dict of the loss: ``forward(list of embeddings,
            sample_idx, labels=...)``. ``num_peers`` and ``embedding_dim``
            are filled in where they are left out.
        on: names of ``embeds`` (N, D), usually of the auxiliary head
            `EmbeddingProjection`, and of ``logits``; None: these two words.
        temperature: T.
        kd_weight: alpha.
        contrast_weight: beta.
        others: see `Exchange`.

    Raises:
        TypeError: ``contrast`` is no dict.
        ValueError: the cohort has one peer, or another number of peers than
            ``contrast.num_peers``; ``on`` has other roles.
    """

    def __init__(
        self,
        contrast: Mapping[str, Any],
        on: Mapping[str, str] | None = None,
        temperature: float = 3.0,
        kd_weight: float = 1.0,
        contrast_weight: float = 0.025,
        **others: Any,
    ) -> None:
        names = dict(embeds='embeds', logits='logits')
        super().__init__(on or names, temperature, **others)
        check_roles(self, 'embeds', 'logits')
        require_dict(
            'exchange.contrast', contrast, "type='mmkd.MemoryNCELoss'"
        )
        self.kd_weight = kd_weight
        self.contrast_weight = contrast_weight
        self._contrast_config = dict(contrast)

    def setup(self, spec: CohortSpec) -> None:
        """Build the loss with a bank for every peer."""
        check_cohort(self, spec)
        config = self._contrast_config
        banks = config.setdefault('num_peers', spec.num_peers)
        if banks != spec.num_peers:
            raise ValueError(
                f'MultiViewContrastExchange: contrast.num_peers={banks}, but '
                f'the cohort has {spec.num_peers} peers; leave num_peers out'
            )
        if spec.shapes and 'embeds' in spec.shapes[0]:
            config.setdefault('embedding_dim', spec.channels('embeds')[0])
        self.contrast = ROOT_MODELS.build(config)

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return the transfer to the last peer."""
        if not self.kd_weight:
            return []
        return [Transfer(-1, mean_of(logits_of(self, peers)), self.kd_weight)]

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return the contrast.

        Raises:
            ValueError: the classes of the data set are not known, or are
                not those of the batch.
        """
        drawn_from = getattr(self.contrast, 'contrast_indices', self)
        if self.training and drawn_from is None:
            raise ValueError(
                'MultiViewContrastExchange does not know the classes of the '
                'training samples; add '
                "custom_hooks=[dict(type='mmkd.DatasetLabelsHook')]"
            )
        term = self.contrast(
            [peer['embeds'] for peer in peers],
            batch['sample_idx'],
            labels=batch['labels'],
        )
        return dict(loss_contrast=self.contrast_weight * term)
