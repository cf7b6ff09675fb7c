"""Several passes of a distiller that see the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class SamePass:
    """Lets every pass start from the same buffers and random state.

    After the ``with`` block these are as they were (banks of exchanges are
    not among them); with ``buffers_too`` False the buffers stay as the last
    pass left them.

    Args:
        model: the distiller.
        inputs: of the batch; their device has a random state, too.
    """

    def __init__(self, model: Any, inputs: Any) -> None:
        parts = [m for role in model.roles for m in (role.network, role.heads)]
        found = [buffer for part in parts for buffer in part.buffers()]
        self.buffers = list({id(b): b for b in found}.values())
        self.start_values = [buffer.clone() for buffer in self.buffers]
        first = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
        self.devices = [first.device] if first.is_cuda else []
        self.buffers_too = True

    def start(self) -> None:
        self._restore_buffers()
        torch.set_rng_state(self.random)
        for device, state in zip(self.devices, self.of_devices, strict=True):
            torch.cuda.set_rng_state(state, device)

    def __enter__(self) -> None:
        self.random = torch.get_rng_state()
        self.of_devices = [torch.cuda.get_rng_state(d) for d in self.devices]

    def __exit__(self, *_: Any) -> None:
        if self.buffers_too:
            self.start()
            return
        changed = [buffer.clone() for buffer in self.buffers]
        self.start()
        with torch.no_grad():
            for buffer, value in zip(self.buffers, changed, strict=True):
                buffer.copy_(value)

    @torch.no_grad()
    def _restore_buffers(self) -> None:
        pairs = zip(self.buffers, self.start_values, strict=True)
        for buffer, value in pairs:
            buffer.copy_(value)


@contextmanager
def learning(module: nn.Module) -> Iterator[None]:
    """Let a frozen module take part in gradients; in float32."""
    module.requires_grad_(True)
    device = next(module.parameters()).device.type
    try:
        with torch.enable_grad(), torch.autocast(device, enabled=False):
            yield
    finally:
        module.requires_grad_(False)
