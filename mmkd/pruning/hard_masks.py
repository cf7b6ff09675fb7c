"""What is pruned for good: filters, or weights, that may not recover."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.utils.hooks import RemovableHandle


class HardMasks:
    """Keeps what is pruned for good at zero, and remembers it.

    Args:
        weights: name of the layer -> weight of its convolution.

    Attributes:
        masks: name -> bool, broadcasts to the weight; empty at first.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.weights = dict(weights)
        self.masks: dict[str, torch.Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def freeze(self) -> None:
        """Zero the gradients of what may not recover, from now on.

        It acts on each backward pass, so accumulated, scaled and averaged
        gradients are right, too.
        """
        for name, weight in self.weights.items():
            self._handles.append(
                weight.register_hook(
                    lambda grad, name=name: self._masked(grad, name)
                )
            )

    def _masked(self, grad: torch.Tensor, name: str) -> torch.Tensor:
        hard = self.masks.get(name)
        return grad if hard is None else grad.masked_fill(hard, 0)

    def release(self) -> None:
        """Let all gradients through again."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @torch.no_grad()
    def clear_momentum(self, optimizer: torch.optim.Optimizer) -> None:
        """Zero the optimizer's averages of what may not recover."""
        for name, hard in self.masks.items():
            weight = self.weights[name]
            for value in optimizer.state.get(weight, {}).values():
                if torch.is_tensor(value) and value.shape == weight.shape:
                    value.masked_fill_(hard, 0)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what may not recover: parameter -> uint8 mask."""
        return {
            f'{name}.weight': hard.to('cpu', torch.uint8)
            for name, hard in self.masks.items()
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over what may not recover.

        Raises:
            ValueError: it was saved for other layers.
        """
        expected = {f'{name}.weight' for name in self.weights}
        if set(state) != expected:
            raise ValueError(
                'pruning: the checkpoint holds hard-pruned filters of other '
                f'layers ({len(state)}, of the {len(expected)} targets '
                f'{len(expected - set(state))} are missing); resume with the '
                'include, exclude and granularity of the interrupted run'
            )
        for name, weight in self.weights.items():
            saved = state[f'{name}.weight']
            self.masks[name] = saved.to(weight.device, torch.bool)
