"""Checks of labels and indices."""

from __future__ import annotations

import torch


class FirstGpuBatches:
    """Says whether to look at the values of a tensor.

    On a GPU, that makes the host wait for the device: only the first
    batches are looked at there.
    """

    def __init__(self, count: int = 10) -> None:
        self._left = count

    def __call__(self, tensor: torch.Tensor) -> bool:
        """Count a batch; return whether to look at it."""
        if not tensor.is_cuda:
            return True
        self._left -= 1
        return self._left >= 0


def is_integer(tensor: torch.Tensor) -> bool:
    """Return whether ``tensor`` holds integers (booleans are none)."""
    kind = tensor.dtype
    return not (
        kind.is_floating_point or kind.is_complex or kind == torch.bool
    )


def check_labels(owner: str, labels: torch.Tensor, num_samples: int) -> None:
    """Check that ``labels`` is one integer per sample.

    Raises:
        ValueError: another shape or type, as mixed or soft labels have.
    """
    if not is_integer(labels) or tuple(labels.shape) != (num_samples,):
        raise ValueError(
            f'{owner}: labels must be ({num_samples},) integers, one class '
            f'per sample, got {labels.dtype} {tuple(labels.shape)}; mixup, '
            'soft and multiple labels are not supported: remove '
            'batch_augments and the like from the data preprocessor'
        )


def check_classes(owner: str, labels: torch.Tensor, num_classes: int) -> None:
    """Check that labels on the CPU are classes (no wait for a device).

    Raises:
        ValueError: a label is negative or too large.
    """
    reach = None if labels.is_cuda else _reach_outside(labels, num_classes)
    if reach:
        raise ValueError(
            f'{owner}: labels reach from {reach[0]} to {reach[1]}, but there '
            f'are {num_classes} classes; correct num_classes or the data set'
        )


def check_index(
    owner: str, name: str, index: torch.Tensor, num_samples: int
) -> None:
    """Check that ``index`` lies in [0, num_samples). Waits for the device.

    Raises:
        ValueError: an index is negative or too large.
    """
    reach = _reach_outside(index, num_samples)
    if reach:
        raise ValueError(
            f'{owner}: {name} reaches from {reach[0]} to {reach[1]}, but '
            f'num_samples={num_samples}; set num_samples to the length of '
            'the training set, and use indices that count through all of '
            'it: parts of wrapped or concatenated data sets count anew'
        )


def _reach_outside(values: torch.Tensor, count: int) -> tuple[int, int] | None:
    """Return least and largest value, if one is not in [0, count)."""
    if values.numel() == 0:
        return None
    low, high = (int(value) for value in torch.aminmax(values))
    return (low, high) if low < 0 or high >= count else None
