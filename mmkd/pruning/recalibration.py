"""Statistics of batch norms, estimated anew."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.utils.modes import keep_modes


@torch.no_grad()
def recalibrate_batch_norm(
    model: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[Any], Any],
) -> int:
    """Replace running statistics by the mean over ``batches``.

    Only batch norms that are in training mode once ``model.train()`` was
    called, so none that a network keeps frozen. Modes stay as they were.

    Args:
        model: whose parts are changed.
        batches: each is given to ``forward``.
        forward: runs the model.

    Returns:
        Number of batch norms.

    Raises:
        ValueError: there is no batch.
    """
    rest = iter(batches)
    first = list(itertools.islice(rest, 1))
    if not first:
        raise ValueError(
            'recalibrate_batch_norm: batches are empty, so there is nothing '
            'to estimate statistics from; give some of the training'
        )
    with keep_modes(model):
        model.train()
        norms = [
            module
            for module in model.modules()
            if isinstance(module, _BatchNorm)
            and module.training
            and module.track_running_stats
        ]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean
        try:
            for batch in itertools.chain(first, rest):
                forward(batch)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
    if get_world_size() > 1:
        for norm in norms:
            all_reduce(norm.running_mean, 'mean')
            all_reduce(norm.running_var, 'mean')
    return len(norms)
