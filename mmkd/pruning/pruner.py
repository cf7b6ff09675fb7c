"""Soft pruning of a model, step by step, without a training loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mmkd.pruning.compaction.coupled import CoupledGroup
from mmkd.pruning.masks import GRANULARITIES, HARD, choose_masks, damp
from mmkd.pruning.methods import PruningSchedule
from mmkd.pruning.targets import Target, find_norm


def check_options(granularity: str, norm: float, mask_bn: bool) -> None:
    """Check the options of `SoftPruner`.

    Raises:
        ValueError: one of them is unknown or does not go with another.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(
            f'pruning: granularity={granularity!r} is unknown; use one of '
            f'{", ".join(GRANULARITIES)}'
        )
    if isinstance(norm, str) or not norm > 0:
        raise ValueError(
            f'pruning: norm={norm!r} must be a positive number; use norm=2'
        )
    if mask_bn and granularity == 'weight':
        raise ValueError(
            "pruning: mask_bn=True with granularity='weight': a single "
            'weight has no batch norm; set mask_bn=False'
        )


class SoftPruner:
    """Damps the smallest filters of the targets, whenever it is called.

    Args:
        model: not wrapped.
        targets: see `find_targets`.
        schedule: how much at which step.
        granularity: ``'filter'`` or ``'weight'``.
        norm: order of the norm that ranks filters.
        mask_bn: damp weight and bias of the following batch norms too.
        groups: of all targets, if these are coupled: members are masked
            alike, with their biases and batch norms.
    """

    def __init__(
        self,
        model: nn.Module,
        targets: Sequence[Target],
        schedule: PruningSchedule,
        granularity: str = 'filter',
        norm: float = 2,
        mask_bn: bool = False,
        groups: Sequence[CoupledGroup] = (),
    ) -> None:
        check_options(granularity, norm, mask_bn)
        self.targets = list(targets)
        self.weights = {target.name: target.weight for target in targets}
        self.schedule = schedule
        self.granularity = granularity
        self.norm = norm
        self.mask_bn = mask_bn and not groups  # groups know their norms
        self.groups = list(groups)
        self.hard: dict[str, torch.Tensor] = {}
        if self.mask_bn:  # complain before the training
            for target in targets:
                find_norm(model, target.name)
        self.model = model
        self._handles: list[RemovableHandle] = []

    def rates(self, t: int, T: int) -> dict[str, float]:
        """Return the rate of every target at step t of T."""
        return {
            target.name: self.schedule.rate_at(t, T, target.rate)
            for target in self.targets
        }

    @torch.no_grad()
    def step(
        self, t: int, T: int, copies: Iterable[nn.Module] = ()
    ) -> dict[str, torch.Tensor]:
        """Choose what to prune and damp it, in the model and its copies.

        Args:
            t: step, from 0.
            T: number of steps.
            copies: other models with the same modules, e.g. an average.

        Returns:
            The masks, see `choose_masks`.
        """
        masks = choose_masks(
            self.weights,
            self.rates(t, T),
            self.schedule.hard_ratio_at(t, T),
            self.granularity,
            self.norm,
            self.groups,
        )
        alpha = self.schedule.alpha_at(t, T)
        for model in (self.model, *copies):
            for name, mask in masks.items():
                layer: Any = model.get_submodule(name)
                scaled = [layer.bias] if self.groups else []
                if name in self.weights:
                    weight = layer.weight
                    damp(weight, mask.to(weight.device), alpha)
                else:
                    scaled.append(layer.weight)
                if self.mask_bn:
                    norm = find_norm(model, name)
                    scaled += [norm.weight, norm.bias]
                for values in scaled:
                    if values is not None:
                        damp(values, mask.flatten(), alpha, exact=True)
        if self.schedule.hard_ratio is not None:
            self.hard = {name: masks[name] == HARD for name in self.weights}
        return masks

    def freeze_hard(self) -> None:
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
        hard = self.hard.get(name)
        return grad if hard is None else grad.masked_fill(hard, 0)

    def release(self) -> None:
        """Let all gradients through again."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @torch.no_grad()
    def clear_momentum(self, optimizer: torch.optim.Optimizer) -> None:
        """Zero the optimizer's averages of what may not recover."""
        for name, hard in self.hard.items():
            weight = self.weights[name]
            for value in optimizer.state.get(weight, {}).values():
                if torch.is_tensor(value) and value.shape == weight.shape:
                    value.masked_fill_(hard, 0)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what may not recover: parameter -> uint8 mask."""
        return {
            f'{name}.weight': hard.to('cpu', torch.uint8)
            for name, hard in self.hard.items()
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
            self.hard[name] = saved.to(weight.device, torch.bool)
