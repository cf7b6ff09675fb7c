"""Weights of branches, by joint, from the features they share (OKDHP)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from torch import nn

from mmkd.registry import MODELS

VARIANTS = ('sum', 'concat')


@MODELS.register_module()
class FeatureAggregationUnit(BaseModule):
    """Combine the heat maps of T branches, each joint with its own weights.

    ``'sum'``, as in the authors' code: U = sum_k ReLU(BN(conv_kxk(f))),
    z = Linear(mean over pixels of U), A = softmax over t of Linear_t(z).
    ``'concat'``, as in the paper's figure: the means of 1x1(conv_kxk(f)) of
    all k, and 1x1(mean of f), side by side, then one linear layer for all
    branches; what the figure leaves open (1x1 to ``mid_channels``, ReLU, the
    softmax over t) is ours. Either way e = sum_t A_t m_t.
    Paper: https://arxiv.org/abs/2108.02092.

    Args:
        in_channels: C of the features.
        mid_channels: width of z.
        out_channels: J, the joints.
        num_branches: T.
        kernel_sizes: k, odd numbers.
        variant: ``'sum'`` or ``'concat'``.
        init_cfg: see mmengine's BaseModule; None is PyTorch's own.

    Shape:
        feature: (B, C, h, w), of any size.
        heatmaps: list of T maps (B, J, H, W), or (T, B, J, H, W).
        returns: e (B, J, H, W) and A (B, T, J), whose sum over T is 1.

    Raises:
        ValueError: a setting or a shape does not fit.
    """

    def __init__(
        self,
        in_channels: int = 256,
        mid_channels: int = 64,
        out_channels: int = 16,
        num_branches: int = 3,
        kernel_sizes: Sequence[int] = (3, 5, 7),
        variant: str = 'sum',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        owner = 'FeatureAggregationUnit'
        if variant not in VARIANTS:
            raise ValueError(
                f"{owner}: variant='{variant}' is not known; choose one of "
                f'{", ".join(VARIANTS)}'
            )
        if num_branches < 2:
            raise ValueError(
                f'{owner}: num_branches={num_branches} must be at least 2: '
                'there is nothing else to weigh'
            )
        kernels = list(kernel_sizes)
        if not kernels or any(k < 1 or k % 2 == 0 for k in kernels):
            raise ValueError(
                f'{owner}: kernel_sizes={kernels} must be odd numbers, so '
                'that maps keep their size; e.g. (3, 5, 7)'
            )
        self.num_branches = num_branches
        self.out_channels = out_channels
        self.variant = variant
        self.convs = ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, in_channels, k, padding=k // 2),
                nn.BatchNorm2d(in_channels),
                nn.ReLU(inplace=True),
            )
            for k in kernels
        )
        if variant == 'sum':
            self.fc = nn.Linear(in_channels, mid_channels)
            self.fcs = ModuleList(
                nn.Linear(mid_channels, out_channels)
                for _ in range(num_branches)
            )
        else:
            self.projections = ModuleList(
                nn.Sequential(
                    nn.Conv2d(in_channels, mid_channels, 1),
                    nn.ReLU(inplace=True),
                )
                for _ in range(len(kernels) + 1)
            )
            self.fc = nn.Linear(
                mid_channels * (len(kernels) + 1), num_branches * out_channels
            )

    def attention(self, feature: torch.Tensor) -> torch.Tensor:
        """Return A (B, T, J) for a feature (B, C, h, w)."""
        if self.variant == 'sum':
            # the mean of a sum is the sum of the means
            pooled = sum(conv(feature).mean((2, 3)) for conv in self.convs)
            z = self.fc(pooled)
            logits = torch.stack([layer(z) for layer in self.fcs], 1)
        else:
            maps = [conv(feature) for conv in self.convs]
            maps.append(feature.mean((2, 3), keepdim=True))
            pooled = torch.cat(
                [
                    project(value).mean((2, 3))
                    for project, value in zip(
                        self.projections, maps, strict=True
                    )
                ],
                1,
            )
            logits = self.fc(pooled).unflatten(
                1, (self.num_branches, self.out_channels)
            )
        return logits.softmax(1)

    def forward(
        self, feature: torch.Tensor, heatmaps: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the ensemble's heat maps and the attention."""
        maps = list(heatmaps)
        shapes = {tuple(value.shape) for value in maps}
        joints = self.out_channels
        if len(maps) != self.num_branches or len(shapes) != 1:
            found = ', '.join(str(shape) for shape in sorted(shapes))
            raise ValueError(
                f'FeatureAggregationUnit: {len(maps)} heat maps of {found}, '
                f'but num_branches={self.num_branches} of one shape are '
                'needed: give all branches the same joints and heat-map size'
            )
        if maps[0].ndim != 4 or maps[0].shape[1] != joints:
            raise ValueError(
                f'FeatureAggregationUnit: heat maps {tuple(maps[0].shape)} '
                f'must be (B, {joints}, H, W): out_channels={joints} is the '
                'number of joints; set it to that of the branches'
            )
        weights = self.attention(feature)
        ensemble = torch.stack(maps, 1) * weights[..., None, None]
        return ensemble.sum(1), weights
