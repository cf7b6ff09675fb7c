"""Training and eval modes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def keep_modes(*models: nn.Module) -> Iterator[None]:
    """Give every module its mode back after the ``with`` block."""
    modes = {m: m.training for model in models for m in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Put ``models`` into eval mode for a ``with`` block without gradient."""
    with keep_modes(*models), torch.no_grad():
        for model in models:
            model.eval()
        yield
