"""Activation checkpointing, so that taps inside it have a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.utils.checkpoint as stock
from torch import nn


def uses_checkpointing(network: nn.Module) -> bool:
    """Return whether a module of a task repository has ``with_cp=True``."""
    return any(getattr(m, 'with_cp', False) is True for m in network.modules())


@contextmanager
def not_reentrant() -> Iterator[None]:
    """Let ``torch.utils.checkpoint.checkpoint`` record its graph.

    The task repositories call it without a choice. torch's old default, the
    reentrant form, runs the block under ``no_grad`` and computes another
    graph in the backward pass: a tensor inside has no gradient. The other
    form gives the same values and gradients with the same memory.
    """
    original = stock.checkpoint

    def checkpoint(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **{**kwargs, 'use_reentrant': False})

    stock.checkpoint = checkpoint
    try:
        yield
    finally:
        stock.checkpoint = original
