"""A classifier and an embedding for every refined stage of a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import ModuleList
from torch import nn

from mmkd.models.heads.contrastive_embedding import ContrastiveEmbedding
from mmkd.registry import MODELS

# Where the published classifiers start with a bias of zero.
ZERO_BIAS = ('CIFARResNet', 'CIFARWideResNet')


@MODELS.register_module()
class StageClassifiers(nn.Module):
    """Classify refined features; the last stage has the network's logits.

    A linear layer for every stage but the last. PyTorch's default
    initialisation, with a bias of zero behind CIFAR ResNets and wide ones,
    as published. Paper: https://arxiv.org/abs/2207.11518.

    Args:
        in_channels: widths of the S features.
        num_classes: K.
        backbone: the built backbone; given by the distiller.

    Shape:
        feats: list of S tensors (N, D).
        logits: (N, K) of the network.
        returns: list of S tensors (N, K).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.fcs = ModuleList(
            nn.Linear(width, num_classes) for width in in_channels[:-1]
        )
        if type(backbone).__name__ in ZERO_BIAS:
            for fc in self.fcs:
                nn.init.zeros_(fc.bias)

    def forward(
        self, feats: Sequence[torch.Tensor], logits: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return the logits of all stages.

        Raises:
            ValueError: another number of stages.
        """
        _check_count('StageClassifiers', feats, len(self.fcs) + 1)
        refined = zip(self.fcs, feats[:-1], strict=True)
        return [*(fc(stage) for fc, stage in refined), logits]


@MODELS.register_module()
class StageEmbeddings(ModuleList):
    """One `ContrastiveEmbedding` for every stage of a network.

    Args:
        in_channels: widths of the S features.
        feat_dim: d.

    Shape:
        feats: list of S tensors (N, D).
        returns: list of S tensors (N, d), unit vectors.
    """

    def __init__(self, in_channels: Sequence[int], feat_dim: int = 128):
        super().__init__(
            [ContrastiveEmbedding(width, feat_dim) for width in in_channels]
        )

    def forward(self, feats: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the embeddings of all stages.

        Raises:
            ValueError: another number of stages.
        """
        _check_count('StageEmbeddings', feats, len(self))
        return [head(stage) for head, stage in zip(self, feats, strict=True)]


def _check_count(
    owner: str, feats: Sequence[torch.Tensor], count: int
) -> None:
    if isinstance(feats, torch.Tensor) or len(feats) != count:
        raise ValueError(
            f'{owner}: {len(feats)} features, but in_channels are of {count} '
            'stages; read what FeatureRefinement gives'
        )
