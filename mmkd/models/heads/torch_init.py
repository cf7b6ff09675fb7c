"""Heads that start from PyTorch's own weights."""

from __future__ import annotations

from torch import nn


class TorchInit:
    """Initialise convolutions as PyTorch does, as the published networks.

    mmseg draws the classifier's weights from N(0, 0.01) and the others by
    Kaiming's rule; the networks of CIRKD keep what ``nn.Conv2d`` starts
    from. Mix it in before a head.
    """

    def init_weights(self) -> None:
        """Draw the weights of all convolutions."""
        for module in self.modules():  # type: ignore[attr-defined]
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
