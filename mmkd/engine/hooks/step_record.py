"""What a training step saw and gave, for the message about a bad one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mmkd.models.distillers.finite import describe_range


class StepRecord:
    """Keeps the images and the logged values of the last step.

    Nothing is read from the device before `told` is called.

    Args:
        model: of mmengine, not wrapped.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._inputs: Any = None
        self._values: Mapping[str, torch.Tensor] = {}
        preprocessor = getattr(model, 'data_preprocessor', None)
        self._handle = (
            preprocessor.register_forward_hook(self._keep_inputs)
            if isinstance(preprocessor, nn.Module)
            else None
        )
        own: Any = model
        self._parse: Any = getattr(own, 'parse_losses', None)
        if self._parse is not None:
            own.parse_losses = self._keep_values

    def remove(self) -> None:
        """Leave the model as it was."""
        if self._handle is not None:
            self._handle.remove()
        if self._parse is not None:
            del self.model.parse_losses
        self._inputs, self._values = None, {}

    def _keep_inputs(self, module: nn.Module, args: Any, data: Any) -> None:
        self._inputs = data.get('inputs') if isinstance(data, dict) else None

    def _keep_values(self, losses: Any) -> Any:
        total, values = self._parse(losses)
        self._values = values
        return total, values

    def told(self) -> str:
        """Return the losses that are not finite, and the images' range."""
        bad = [
            f'{name} is {float(value.detach()):g}'
            for name, value in self._values.items()
            if 'loss' in name
            and name != 'loss'
            and not bool(value.isfinite().all())
        ]
        inputs = self._inputs
        if isinstance(inputs, torch.Tensor):
            inputs = [inputs]
        if isinstance(inputs, (list, tuple)):
            bad.append(f'images {describe_range(list(inputs))}')
        return ', '.join(bad)
