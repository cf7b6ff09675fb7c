"""One linear classifier for each branch of a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmkd.registry import MODELS


@MODELS.register_module()
class BranchClsHead(ClsHead):
    """A linear classifier on each map of a backbone with several.

    The loss is the sum of the branches' losses; the prediction is the mean
    of their logits. For the localisation branches of arXiv 2002.03737; the
    sum and the mean are our choice.

    Args:
        num_classes: Q.
        in_channels: of the pooled maps, all alike.
        num_branches: S.
        init_cfg: default: normal with deviation 0.001, as in AnchorNet.
        **kwargs: arguments of mmpretrain's ``ClsHead``.

    Shape:
        feats: tuple of S pooled maps (N, in_channels).
        returns: (N, Q), the mean of the branches' logits.

    Raises:
        ValueError: another number of maps.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_branches: int,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', layer='Linear', std=0.001)
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fcs = nn.ModuleList(
            nn.Linear(in_channels, num_classes) for _ in range(num_branches)
        )

    def pre_logits(self, feats: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the pooled maps, unchanged."""
        return feats

    def branch_logits(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits (N, Q) of each branch."""
        if isinstance(feats, Tensor) or len(feats) != len(self.fcs):
            count = 1 if isinstance(feats, Tensor) else len(feats)
            raise ValueError(
                f'BranchClsHead: num_branches={len(self.fcs)}, but the '
                f'backbone gives {count} maps; set it to the number of '
                'backbone.out_indices'
            )
        return [fc(branch) for fc, branch in zip(self.fcs, feats, strict=True)]

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Return the mean of the branches' logits."""
        return torch.stack(self.branch_logits(feats)).mean(0)

    def loss(
        self,
        feats: Sequence[Tensor],
        data_samples: list[DataSample],
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Return ``loss_branch<k>`` of each branch."""
        losses: dict[str, Tensor] = {}
        for k, logits in enumerate(self.branch_logits(feats)):
            own = self._get_loss(logits, data_samples, **kwargs)
            losses[f'loss_branch{k}'] = own.pop('loss')
            losses.update(
                {f'branch{k}.{name}': value for name, value in own.items()}
            )
        return losses
