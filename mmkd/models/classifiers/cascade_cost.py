"""Multiply-adds of a cascade."""

from __future__ import annotations

from torch import Tensor, nn

from mmkd.pruning.compaction.cost import layer_macs


def count_macs(network: nn.Module, images: Tensor) -> int:
    """Return the multiply-adds of one image: convolutions and linears.

    Shape:
        images: (N, 3, H, W); the first is used.
    """
    counts = layer_macs(network, images, lambda net, x: net(x))
    return sum(counts.values())


def stage_costs(
    first: float, patch: float, proposal: float, num_stages: int
) -> list[float]:
    """Return what an image costs that leaves after stage 1, 2, ..., M.

    The proposal network runs from stage 2 on.

    Args:
        first: cost of the global network.
        patch: cost of the patch network for one patch.
        proposal: cost of the proposal network.
        num_stages: M, one more than there are patches.
    """
    later = [first + proposal + patch * k for k in range(1, num_stages)]
    return [first, *later]
