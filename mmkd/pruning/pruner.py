"""Soft pruning of a model, step by step, without a training loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from mmkd.pruning.hard_masks import HardMasks
from mmkd.pruning.masks import HARD, choose_masks, damp
from mmkd.pruning.settings import PruningSettings
from mmkd.pruning.targets import find_norm


class SoftPruner:
    """Damps the smallest filters of its targets, whenever it is called.

    Args:
        model: not wrapped.
        settings: which layers, how much at which step, and how.

    Attributes:
        selection: what is pruned.
        hard: what may not recover; its gradients are zeroed if the
            schedule has a hard ratio, until ``hard.release()``.

    Raises:
        ValueError: no target, layers that cannot be coupled, or a batch
            norm is missing.
    """

    def __init__(self, model: nn.Module, settings: PruningSettings) -> None:
        self.model = model
        self.settings = settings
        self.schedule = settings.schedule
        self.selection = settings.choice.select(model)
        targets = self.selection.targets
        self.weights = {target.name: target.weight for target in targets}
        # groups know their norms
        self.mask_bn = settings.masking.mask_bn and not self.selection.groups
        if self.mask_bn:  # complain before the training
            for target in targets:
                find_norm(model, target.name)
        self.hard = HardMasks(self.weights)
        if self.schedule.hard_ratio is not None:
            self.hard.freeze()

    def rates(self, t: int, T: int) -> dict[str, float]:
        """Return the rate of every target at step t of T."""
        return {
            target.name: self.schedule.rate_at(t, T, target.rate)
            for target in self.selection.targets
        }

    @torch.no_grad()
    def step(
        self,
        t: int,
        T: int,
        copies: Iterable[nn.Module] = (),
        optimizers: Iterable[torch.optim.Optimizer] = (),
    ) -> None:
        """Choose what to prune and damp it, in the model and its copies.

        Args:
            t: step, from 0.
            T: number of steps.
            copies: other models with the same modules, e.g. an average.
            optimizers: lose the momentum of what may not recover.
        """
        masks = choose_masks(
            self.weights,
            self.rates(t, T),
            self.schedule.hard_ratio_at(t, T),
            self.selection.granularity,
            self.settings.masking.norm,
            self.selection.groups,
        )
        alpha = self.schedule.alpha_at(t, T)
        for model in (self.model, *copies):
            for name, mask in masks.items():
                self._damp_layer(model, name, mask, alpha)
        if self.schedule.hard_ratio is not None:
            self.hard.masks = {n: masks[n] == HARD for n in self.weights}
        for optimizer in optimizers:
            self.hard.clear_momentum(optimizer)

    def _damp_layer(
        self, model: nn.Module, name: str, mask: torch.Tensor, alpha: float
    ) -> None:
        """Damp a convolution, or a batch norm of a group, of ``model``."""
        layer: Any = model.get_submodule(name)
        scaled = [layer.bias] if self.selection.groups else []
        if name in self.weights:
            damp(layer.weight, mask.to(layer.weight.device), alpha)
        else:
            scaled.append(layer.weight)
        if self.mask_bn:
            norm = find_norm(model, name)
            scaled += [norm.weight, norm.bias]
        for values in scaled:
            if values is not None:
                damp(values, mask.flatten(), alpha, exact=True)
