"""An exchange of the config, bound to the tensors of the peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.parts import ByPhase, Named, Part
from mmkd.models.exchanges.base import Exchange
from mmkd.taps import Tensors
from mmkd.utils.settings import require_dict


class ExchangePart(Part):
    """An exchange between peers (and their followers).

    Args:
        exchange: reads the names in its ``on``; ``'mean.logits'`` is what
            the follower ``mean`` of every peer gives as ``logits``.
        number: which exchange of the distiller.
        labels: of the peers.
    """

    def __init__(
        self, exchange: Exchange, number: int, labels: Sequence[str]
    ) -> None:
        super().__init__(exchange, f'exchange {type(exchange).__name__}')
        self.exchange = exchange
        self.number = number
        self.labels = tuple(labels)

    def reads(self) -> list[tuple[str, str]]:
        """Return (label of a role, name) of every tensor that is read."""
        return [
            source_of(label, name)
            for label in self.labels
            for name in self.exchange.on.values()
        ]

    def trains(self) -> list[tuple[str, Sequence[str]]]:
        """Return every peer with what is read of itself."""
        names = [n for n in self.exchange.on.values() if '.' not in n]
        return [(label, names) for label in self.labels if names]

    def peers(self, tensors: Named) -> list[dict[str, Tensors]]:
        """Return what the exchange reads: per peer, role -> tensor."""
        found = []
        for label in self.labels:
            own = {}
            for role, name in self.exchange.on.items():
                source, tensor = source_of(label, name)
                own[role] = tensors[source][tensor]
            found.append(own)
        return found

    def auxiliary(self, tensors: Named, batch: Batch) -> dict[str, Tensors]:
        """Return the auxiliary classifiers, name -> logits."""
        peers = self.exchange.adapt(self.peers(tensors))
        return self.exchange.auxiliary(peers, batch)

    def losses(self, tensors: Named, batch: Batch) -> ByPhase:
        """Return the losses of every phase."""
        peers = self.exchange.adapt(self.peers(tensors))
        aux = self.exchange.auxiliary(peers, batch)
        found: ByPhase = {
            phase: self.exchange(peers, batch, phase, aux)
            for phase in (None, *self.phases)
        }
        if self.exchange.ramp_epochs:
            found[None]['ramp'] = torch.tensor(self.exchange.ramp(batch))
        return found

    def rehearse(self, tensors: Named, batch: Batch) -> ByPhase:
        """Return the losses, leaving buffers as they are.

        Raises:
            KeyError: the exchange asks for what ``on`` does not name.
            ValueError: its auxiliary classifiers are not those it announces.
        """
        try:
            found = super().rehearse(tensors, batch)
        except KeyError as error:
            raise KeyError(
                f'{self.title} asks for {error}, but it is given '
                f'{", ".join(self.exchange.on)}: name it in exchange.on'
            ) from error
        names = {
            name.removesuffix('.loss_task')
            for name in found[None]
            if name.endswith('.loss_task')
        }
        if names != set(self.exchange.auxiliary_names):
            raise ValueError(
                f'auxiliary() gives {", ".join(names) or "nothing"}, but '
                f'auxiliary_names is {self.exchange.auxiliary_names}: name '
                'the same'
            )
        return found

    def inputs(self, tensors: Named) -> dict[str, Tensors]:
        """Return what is read, for messages."""
        return {
            f'{label} {role}': tensor
            for label, own in zip(
                self.labels, self.peers(tensors), strict=True
            )
            for role, tensor in own.items()
        }

    @property
    def acts(self) -> bool:
        """Whether it does something after the optimizers' steps."""
        return type(self.exchange).after_step is not Exchange.after_step

    def describe(self) -> str:
        """Return class, weight, ramp and what is read."""
        exchange = self.exchange
        reads = ', '.join(
            name if role == name else f'{role}={name}'
            for role, name in exchange.on.items()
        )
        text = f'{type(exchange).__name__} x {exchange.loss_weight:g}'
        if exchange.ramp_epochs:
            text += f', ramp over {exchange.ramp_epochs} epochs'
        return f'{text} ({reads})'

    def name_for(self, name: str, phase: str | None, taken: bool) -> str:
        """Return ``name``, or one with the phase or number in it."""
        if not taken:
            return name
        return f'{phase}.{name}' if phase else f'{name}_{self.number}'


def source_of(label: str, name: str) -> tuple[str, str]:
    """Return the label of the role that gives ``name`` to peer ``label``."""
    follower, _, tensor = name.rpartition('.')
    return (f'{label}.{follower}' if follower else label), tensor


def build_exchanges(exchange: Any) -> ModuleList:
    """Build one exchange, or those of a list."""
    given = exchange if isinstance(exchange, (list, tuple)) else [exchange]
    built = ModuleList()
    for config in given:
        if config is not None:
            if not isinstance(config, nn.Module):
                require_dict(
                    'model.exchange', config, "type='mmkd.MutualExchange'"
                )
            part = (
                config
                if isinstance(config, nn.Module)
                else ROOT_MODELS.build(dict(config))
            )
            if not isinstance(part, Exchange):
                raise TypeError(
                    f'model.exchange is a {type(part).__name__}, not an '
                    'Exchange: give e.g. dict(type="mmkd.MutualExchange"); a '
                    'loss goes into mmkd.LossExchange'
                )
            built.append(part)
    return built


def names_read(
    exchanges: Sequence[Exchange] | ModuleList, follower: str = ''
) -> dict[str, str]:
    """Return the names that exchanges read of the peers.

    Args:
        exchanges: all of them.
        follower: of this follower of the peers instead.

    Returns:
        Name -> who reads it, as the beginning of a message.
    """
    found: dict[str, str] = {}
    for exchange in exchanges:
        on: Mapping[str, str] = exchange.on
        for role, name in on.items():
            source, _, tensor = name.rpartition('.')
            if source == follower:
                found[tensor] = (
                    f'exchange {type(exchange).__name__} reads "{name}" '
                    f'(on.{role})'
                )
    return found
