"""Outputs of any network as a dense map and a global vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional


def last_tensor(output: Any) -> torch.Tensor:
    """Return the features in what a network gave.

    The last entry of a tuple or list (of stages), ``last_hidden_state`` of
    the outputs of transformers.

    Raises:
        ValueError: there is no tensor.
    """
    found = output
    while not isinstance(found, torch.Tensor):
        if hasattr(found, 'last_hidden_state'):
            found = found.last_hidden_state
        elif isinstance(found, (Sequence, Mapping)) and len(found):
            found = list(
                found.values() if isinstance(found, Mapping) else found
            )[-1]
        else:
            raise ValueError(
                'FeatureTeacher: the network gave a '
                f'{type(output).__name__} without a tensor: choose another '
                'one'
            )
    return found


def split_tokens(
    features: torch.Tensor,
    grid: tuple[int, int] | None,
    prefix: int | None = None,
    channels_last: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the dense map, and the class token if there is one.

    Args:
        features: (N, C, H, W), (N, H, W, C) with ``channels_last``, or
            tokens (N, L, C): prefix tokens (class, then registers), then
            patches row by row.
        grid: (rows, columns) of the patches.
        prefix: number of prefix tokens; L - rows * columns, if not given.
        channels_last: of maps.

    Returns:
        (N, C, H, W), and (N, C) or None.

    Raises:
        ValueError: the tokens do not fill the grid.
    """
    if features.ndim == 4:
        if channels_last:
            features = features.permute(0, 3, 1, 2)
        return features.contiguous(), None
    if features.ndim != 3 or grid is None:
        raise ValueError(
            f'FeatureTeacher: features {tuple(features.shape)} are no map '
            '(N, C, H, W), and '
            + (
                'no tokens (N, L, C)'
                if grid is not None
                else 'patch_size is not known: set patch_size'
            )
            + (
                "; a ViT of mmpretrain needs out_type='featmap'"
                if features.ndim == 2
                else ''
            )
        )
    rows, columns = grid
    first = features.shape[1] - rows * columns
    if first < 0 or prefix not in (None, first):
        wanted = 'prefix tokens' if prefix is None else f'{prefix} of them'
        raise ValueError(
            f'FeatureTeacher: {features.shape[1]} tokens are no {rows} x '
            f'{columns} patches and {wanted}: set patch_size (and '
            'prefix_tokens) of this network'
        )
    patches = features[:, first:].transpose(1, 2)
    dense = patches.unflatten(2, grid).contiguous()
    return dense, features[:, 0] if first else None


def pad_to_multiple(
    images: torch.Tensor, patch: tuple[int, int]
) -> torch.Tensor:
    """Pad (N, C, H, W) with zeros, right and below, to whole patches."""
    height, width = images.shape[-2:]
    below, right = -height % patch[0], -width % patch[1]
    if not (below or right):
        return images
    return functional.pad(images, (0, right, 0, below))
