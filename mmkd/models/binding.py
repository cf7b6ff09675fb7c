"""Which arguments of a loss's ``forward`` are tensors, which batch values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch

#: what a loss may name in its ``forward`` beside tapped tensors
BATCH_VALUES = (
    'labels',
    'sample_idx',
    'epoch',
    'iteration',
    'view_labels',
    'target_weight',
)


def forward_arguments(
    forward: Callable[..., Any], available: Collection[str] = BATCH_VALUES
) -> tuple[list[str], tuple[str, ...]]:
    """Return the required tensor arguments and the batch values named.

    Args:
        forward: of a loss, bound or not.
        available: the batch values that can be supplied.
    """
    tensors, extras = [], []
    for parameter in inspect.signature(forward).parameters.values():
        if parameter.name == 'self':
            continue
        if parameter.name in available:
            extras.append(parameter.name)
        elif (
            parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_KEYWORD
        ):
            tensors.append(parameter.name)
    return tensors, tuple(extras)


def named_losses(result: Any, name: str, owner: str) -> dict[str, Any]:
    """Return what a loss gave, by log name.

    Args:
        result: a tensor, or a dict of tensors named ``loss_...``.
        name: a tensor becomes ``loss_<name>``.
        owner: who gave it, for messages.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(result, torch.Tensor):
        return {f'loss_{name}': result}
    if not isinstance(result, Mapping) or not all(
        key.startswith('loss_') for key in result
    ):
        raise TypeError(
            f'{owner} must return a tensor or a dict of tensors named '
            '"loss_...", got '
            f'{list(result) if isinstance(result, Mapping) else type(result)}'
        )
    return dict(result)
