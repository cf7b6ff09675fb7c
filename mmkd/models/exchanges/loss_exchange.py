"""Any loss of several tensors, between the peers of a cohort."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.binding import forward_arguments, named_losses
from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.transfer import Batch, Peers, Tensors
from mmkd.registry import MODELS


@MODELS.register_module()
class LossExchange(Exchange):
    """Feed the tensors of all peers into one loss.

    The loss gets, for every role of ``on``, the list of the M peers'
    tensors; of the batch it gets whatever of `BATCH_VALUES` its ``forward``
    names.

    Args:
        on: what is read; if the loss takes several lists, a dict argument of
            ``forward`` -> name, in any order.
        loss: dict of the loss, or the module.
        name: a scalar is logged as ``loss_<name>``; a loss that returns a
            dict names its parts itself.
        loss_weight: factor on all of it.

    Raises:
        TypeError: ``forward`` needs another number of tensors, or others.
    """

    def __init__(
        self,
        on: str | Mapping[str, str],
        loss: nn.Module | Mapping[str, Any],
        name: str = 'exchange',
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(on, loss_weight=loss_weight, init_cfg=init_cfg)
        self.name = name
        self.loss = (
            loss
            if isinstance(loss, nn.Module)
            else ROOT_MODELS.build(copy.deepcopy(dict(loss)))
        )
        self.roles, self.extras = self._bind()

    def _bind(self) -> tuple[list[str], tuple[str, ...]]:
        """Return the roles as ``forward`` takes them, and batch values."""
        tensors, extras = forward_arguments(self.loss.forward)
        if len(tensors) != len(self.on):
            raise TypeError(
                f'{type(self).__name__}: {type(self.loss).__name__}.forward '
                f'needs {len(tensors)} list(s) of tensors '
                f'({", ".join(tensors)}), on={self.on} gives {len(self.on)}; '
                'name one tap or auxiliary head for each'
            )
        if len(tensors) == 1:
            return list(self.on), extras
        if set(tensors) != set(self.on):  # a saved config changes the order
            wanted = ', '.join(f"{name}='...'" for name in tensors)
            raise TypeError(
                f'{type(self).__name__}: on={self.on} must name the arguments '
                f'of {type(self.loss).__name__}.forward; write '
                f'on=dict({wanted})'
            )
        return tensors, extras

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return what the loss gives.

        Raises:
            TypeError: that is no tensor nor a dict of losses.
        """
        result = self.loss(
            *([peer[role] for peer in peers] for role in self.roles),
            **{name: batch[name] for name in self.extras},
        )
        owner = f'{type(self).__name__}: {type(self.loss).__name__}'
        return named_losses(result, self.name, owner)
