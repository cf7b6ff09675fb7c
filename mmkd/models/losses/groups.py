"""Groups of images inside which pairs are formed."""

from __future__ import annotations

import logging

from mmengine.logging import print_log
from torch import nn


def groups_of(loss: nn.Module, images: int) -> int:
    """Return the images per group of ``loss.group_size``.

    In training it is said once if the last group of a batch is smaller.

    Args:
        loss: with ``group_size``, a number or None (the whole batch).
        images: in the batch.
    """
    size: int = loss.group_size or images  # type: ignore[assignment]
    rest = images % size
    if rest and loss.training and not getattr(loss, '_groups_said', False):
        loss._groups_said = True  # type: ignore[assignment]
        print_log(
            f'{type(loss).__name__}: {images} images are no multiple of '
            f'group_size={size}: the last group has {rest}, and each image '
            'the same weight; set train_dataloader.batch_size to a multiple, '
            'or another group_size',
            logger='current',
            level=logging.WARNING,
        )
    return size
