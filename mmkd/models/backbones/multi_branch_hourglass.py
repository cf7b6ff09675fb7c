"""Hourglasses that share stem and first stacks, as one module (OKDHP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleList

from mmkd.models.backbones.hourglass import (
    HourglassStack,
    HourglassStem,
    check_hourglass,
    check_image_size,
)
from mmkd.models.backbones.stacked_hourglass import StackedHourglass
from mmkd.registry import MODELS


@MODELS.register_module()
class MultiBranchHourglass(BaseModule):
    """T stacked hourglasses with one stem and common first stacks.

    The published network as a plain module. Training does not need it:
    `mmkd.HourglassCohort` shares the same parts between ordinary
    `StackedHourglass` networks, which the frame trains, judges and exports.

    Args:
        feat_channels: F.
        out_channels: J.
        shared_stacks: n0, stacks that all branches share; 0 shares the stem
            alone.
        individual_stacks: n_t, stacks of every branch's own.
        depth, upsample_to_skip, init_cfg: see `StackedHourglass`.

    Shape:
        input: (N, 3, 4H, 4W).
        returns: ``stem`` (N, F, H, W); ``shared``, a list of n0 heat maps
            (N, J, H, W); ``branches``, T lists of n_t heat maps.

    Raises:
        ValueError: fewer than two branches, or a setting does not fit.
    """

    def __init__(
        self,
        feat_channels: int = 256,
        out_channels: int = 16,
        shared_stacks: int = 2,
        individual_stacks: Sequence[int] = (2, 2, 2),
        depth: int = 4,
        upsample_to_skip: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        owner = 'MultiBranchHourglass'
        counts = list(individual_stacks)
        if len(counts) < 2:
            raise ValueError(
                f'{owner}: individual_stacks={counts} is of {len(counts)} '
                'branch(es); give the stacks of at least two, e.g. (2, 2, 2)'
            )
        if shared_stacks < 0:
            raise ValueError(
                f'{owner}: shared_stacks={shared_stacks} must not be '
                'negative; 0 shares the stem alone'
            )
        check_hourglass(
            owner,
            feat_channels,
            depth,
            out_channels=out_channels,
            individual_stacks=min(counts),
        )
        self._settings: dict[str, Any] = dict(
            feat_channels=feat_channels,
            out_channels=out_channels,
            depth=depth,
            upsample_to_skip=upsample_to_skip,
        )
        self.depth = depth
        self.upsample_to_skip = upsample_to_skip

        def stack(last: bool = False) -> HourglassStack:
            return HourglassStack(
                feat_channels, out_channels, last, depth, upsample_to_skip
            )

        self.stem = HourglassStem(feat_channels)
        self.shared = ModuleList(stack() for _ in range(shared_stacks))
        self.branches = ModuleList(
            ModuleList(stack(k == count - 1) for k in range(count))
            for count in counts
        )

    def forward(self, images: torch.Tensor) -> dict[str, object]:
        stem = self.stem(images)
        check_image_size(
            type(self).__name__, images, stem, self.depth,
            self.upsample_to_skip,
        )  # fmt: skip
        trunk, shared = _run(self.shared, stem)
        branches = [_run(stacks, trunk)[1] for stacks in self.branches]
        return dict(stem=stem, shared=shared, branches=branches)

    def branch(self, index: int) -> StackedHourglass:
        """Return branch ``index`` as a network of its own.

        It holds the same modules: shared stacks, then those of the branch.
        """
        stacks = [*self.shared, *self.branches[index]]
        with torch.device('meta'):
            network = StackedHourglass(len(stacks), **self._settings)
        network.stem = self.stem
        network.stacks = ModuleList(stacks)
        return network.train(self.training)


def _run(
    stacks: ModuleList, feats: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return what the last stack hands on, and all heat maps."""
    heatmaps = []
    for stack in stacks:
        feats, found = stack(feats)
        heatmaps.append(found)
    return feats, heatmaps
