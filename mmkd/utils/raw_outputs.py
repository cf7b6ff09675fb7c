"""What a network computes from images, before any decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn


def random_inputs(
    network: nn.Module, input_shape: Sequence[int] | None = None
) -> torch.Tensor:
    """Return two random images (2, C, H, W), the same at every call."""
    if input_shape is None:
        preprocessor = getattr(network, 'data_preprocessor', None)
        size = getattr(preprocessor, 'size', None) or (224, 224)
        size = (size, size) if isinstance(size, int) else size
        input_shape = (3, *size)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *input_shape, generator=generator)


def raw_outputs(
    network: nn.Module, inputs: torch.Tensor
) -> list[torch.Tensor]:
    """Return the raw outputs (``mode='tensor'``) as a flat list.

    Raises:
        ValueError: the network does not run on ``inputs``.
    """
    try:
        return list(_flat(network(inputs, None, mode='tensor')))
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f'{type(network).__name__} does not run on inputs '
            f'{tuple(inputs.shape)} with mode="tensor" ({error}); give '
            '--input-shape C H W'
        ) from error


def _flat(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _flat(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _flat(entry)
