"""Comparisons in float64, where no processor's order of sums shows."""

from __future__ import annotations

from typing import Any

from torch import nn


def in_float64(distiller: nn.Module) -> nn.Module:
    """Make weights and images float64; the preprocessors make float32.

    The images may be a list, one view for each peer.
    """

    def double(_: nn.Module, args: Any, data: dict[str, Any]) -> None:
        inputs = data['inputs']
        many = isinstance(inputs, (list, tuple))
        data['inputs'] = (
            [view.double() for view in inputs] if many else inputs.double()
        )

    distiller.data_preprocessor.register_forward_hook(double)
    return distiller.double()
