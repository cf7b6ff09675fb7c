"""A convolution whose weight has spectral norm 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class SpectralConv2d(nn.Conv2d):
    """Convolution by W / sigma(W), one power iteration per call.

    v = unit(W^T u), u = unit(W v), sigma = u^T W v, with W as a matrix
    (out_channels, rest); gradient flows through W and sigma, u and v are
    constant. ``torch.nn.utils.parametrizations.spectral_norm`` iterates in
    training mode alone; this one in evaluation too, as the discriminator of
    the published comparison.

    Buffers: ``u`` (out_channels,), ``v`` (rest,).

    Args: those of ``nn.Conv2d``.
    """

    u: Tensor
    v: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows, rest = self.weight.flatten(1).shape
        self.register_buffer('u', _unit(torch.randn(rows)))
        self.register_buffer('v', _unit(torch.randn(rest)))

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolved maps."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = _unit(matrix.mT @ self.u)
            u = _unit(matrix @ v)
            self.u.copy_(u)
            self.v.copy_(v)
        sigma = u @ matrix @ v
        return self._conv_forward(input, self.weight / sigma, self.bias)


def _unit(vector: Tensor) -> Tensor:
    return functional.normalize(vector, dim=0)
