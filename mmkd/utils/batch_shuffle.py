"""One order of the samples of all processes, and the way back."""

from __future__ import annotations

from typing import Any

import torch

from mmkd.utils.dist import (
    broadcast_from_first,
    gather_rows,
    get_rank,
    get_world_size,
)


class BatchShuffle:
    """Deals the samples of all processes out anew, at random.

    A network with batch norm that sees one view shuffled and the other as it
    is cannot tell matching images by statistics that they share (MoCo,
    https://arxiv.org/abs/1911.05722, section 3.3).

    Rank r of W holds samples r, r + W, ... of the whole batch, as
    mmengine's samplers deal them out. One process, whose statistics are
    those of groups (`GroupedBatchNorm`), thus does what W processes do.

    Args:
        rows: N, samples of one process, the same number in each.
        device: of the samples.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.rows = rows
        self._world = get_world_size()
        order = torch.randperm(self._world * rows, device=device)
        broadcast_from_first([order])
        self._taken = self._places(order)
        self._back = self._places(order.argsort())

    def _places(self, samples: torch.Tensor) -> torch.Tensor:
        """Return where this process finds its share in gathered rows."""
        mine = samples[get_rank() :: self._world]
        return mine % self._world * self.rows + mine // self._world

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the shuffled samples of this process, (N, ...)."""
        return gather_rows(images)[self._taken]

    def undo(self, value: Any) -> Any:
        """Return what was made of shuffled samples in their first order.

        Args:
            value: tensor (N, ...) without gradient, or lists or dicts of
                those.

        Raises:
            ValueError: a tensor has not one row per sample.
        """
        if isinstance(value, dict):
            return {key: self.undo(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.undo(entry) for entry in value]
        if value.ndim == 0 or len(value) != self.rows:
            raise ValueError(
                f'followers: shuffle=True, but a tensor {tuple(value.shape)} '
                f'has not one row for each of the {self.rows} samples: read '
                'one that has, and leave model.views out'
            )
        return gather_rows(value)[self._back]
