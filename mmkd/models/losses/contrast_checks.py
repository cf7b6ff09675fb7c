"""Checks of the indices that losses with banks get."""

from __future__ import annotations

import torch

from mmkd.utils.indices import is_integer


def check_contrast_shapes(
    owner: str,
    batch_size: int,
    sample_idx: torch.Tensor,
    contrast_idx: torch.Tensor | None,
    num_negatives: int | None = None,
) -> None:
    """Check shapes and types of indices.

    Args:
        owner: beginning of the messages.
        batch_size: N.
        sample_idx: (N,) integers.
        contrast_idx: (N, 1 + K) integers, or None.
        num_negatives: K; None takes any from 1.

    Raises:
        ValueError: they are others.
    """
    if sample_idx.shape != (batch_size,) or not is_integer(sample_idx):
        raise ValueError(
            f'{owner}: sample_idx must be ({batch_size},) integers, got '
            f'{sample_idx.dtype} {tuple(sample_idx.shape)}; it cannot be '
            'used with views of the images'
        )
    if contrast_idx is None:
        return
    shape = tuple(contrast_idx.shape)
    fits = len(shape) == 2 and shape[0] == batch_size and shape[1] > 1
    if num_negatives is not None:
        fits = shape == (batch_size, 1 + num_negatives)
    if not fits or not is_integer(contrast_idx):
        known = '' if num_negatives is None else f' with K={num_negatives}'
        raise ValueError(
            f'{owner}: contrast_idx must be ({batch_size}, 1 + K) '
            f'integers{known}, got {contrast_idx.dtype} {shape}; leave it '
            'out to draw it'
            + (f', or set num_negatives={shape[-1] - 1}' if known else '')
        )
