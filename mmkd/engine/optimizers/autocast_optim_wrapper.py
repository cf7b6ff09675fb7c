"""Mixed precision with bfloat16 on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under ``torch.autocast`` with bfloat16.

    mmengine's ``AmpOptimWrapper`` refuses CPUs. bfloat16 has the exponents
    of float32, so the loss is not scaled and a checkpoint looks like that
    of ``OptimWrapper``. Parameters and their gradients stay float32.

    Args:
        dtype: ``'bfloat16'``; the key exists to say what is meant.
        cache_enabled: keep the converted weights for the length of a step.
            False if a network runs without gradients before it runs with
            them in one step: older versions of torch (2.4 does, 2.12 does
            not) would then train nothing.
        **kwargs: arguments of mmengine's ``OptimWrapper``.

    Raises:
        ValueError: another type; float16 needs the scaling of
            ``AmpOptimWrapper``.
    """

    def __init__(
        self,
        dtype: str = 'bfloat16',
        cache_enabled: bool = True,
        **kwargs: Any,
    ) -> None:
        if dtype != 'bfloat16':
            raise ValueError(
                f'AutocastOptimWrapper: dtype={dtype!r}, but it does not '
                "scale the loss and takes 'bfloat16' alone; for float16 on "
                "a GPU use optim_wrapper.type='AmpOptimWrapper'"
            )
        super().__init__(**kwargs)
        self.dtype = torch.bfloat16
        self.cache_enabled = cache_enabled

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Convert what runs inside, on the device of ``model``."""
        device = next(model.parameters()).device.type
        autocast = torch.autocast(
            device, self.dtype, cache_enabled=self.cache_enabled
        )
        with super().optim_context(model), autocast:
            yield
