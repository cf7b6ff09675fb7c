"""One classifier on the features of all peers (PCL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import nn

from mmkd.registry import MODELS


@MODELS.register_module()
class PeerEnsembleHead(BaseModule):
    """Linear classifier on the concatenated features of all peers.

    z_E = A [h_1; ...; h_M] + a. The features are not detached: the loss of
    z_E reaches every peer. Paper: https://arxiv.org/abs/2006.04147.

    Args:
        in_channels: D of every peer.
        num_classes: K.
        init_cfg: see mmengine's BaseModule; PyTorch's default by default.

    Shape:
        feats: M tensors (N, D), or (N, D, ...), pooled here.
        returns: (N, K).

    Raises:
        ValueError: other features than ``in_channels`` says.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.fc = nn.Linear(sum(self.in_channels), num_classes)

    def forward(self, feats: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the logits of the ensemble."""
        found = tuple(h.shape[1] if h.ndim > 1 else 0 for h in feats)
        if found != self.in_channels:
            raise ValueError(
                f'PeerEnsembleHead: in_channels={list(self.in_channels)}, '
                f'but the features of the peers have {list(found)} channels; '
                'give in_channels one width per peer, of what is read'
            )
        pooled = [h if h.ndim == 2 else h.flatten(2).mean(2) for h in feats]
        return self.fc(torch.cat(pooled, 1))
