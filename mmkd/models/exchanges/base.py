"""What all exchanges have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    detached,
)
from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.utils.settings import require_dict


class Exchange(BaseModule):
    """What the peers of a cohort do to each other in one method.

    A method overrides what it needs of `setup`, `adapt`, `auxiliary`,
    `transfers`, `extra_losses` and `after_step`; all do nothing by default.

    Args:
        on: name of the tap or auxiliary head that is read, or a dict
            role -> name where several are. A bare name is ``main_role``;
            ``'mean.logits'`` is ``logits`` of every peer's follower
            ``mean``.
        temperature: of the default transfer loss, > 0.
        loss_weight: factor on transfers and extra losses.
        ramp_epochs: R; transfers are weighted with `ramp` (0: always 1);
            the distiller logs its value as ``ramp``.
        detach_target: stop the gradient to the targets of transfers.
        transfer_loss: dict of a loss (learner, target) -> scalar, instead
            of ``KLDivLoss(temperature)``.
        init_cfg: see mmengine's BaseModule.
    """

    #: role of a bare name in ``on``; the logits that transfers teach.
    main_role = 'logits'
    #: names of phases after the common one, each with its own optimizer.
    phases: tuple[str, ...] = ()
    #: names that `auxiliary` gives.
    auxiliary_names: tuple[str, ...] = ()
    #: factor on the task loss of each of them.
    auxiliary_weight = 1.0

    def __init__(
        self,
        on: str | Mapping[str, str] = 'logits',
        temperature: float = 1.0,
        loss_weight: float = 1.0,
        ramp_epochs: int = 0,
        detach_target: bool = True,
        transfer_loss: Mapping[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if ramp_epochs < 0:
            raise ValueError(
                f'{type(self).__name__}: ramp_epochs={ramp_epochs} must not '
                'be negative; 0 switches the ramp off'
            )
        if transfer_loss is not None:
            require_dict('exchange.transfer_loss', transfer_loss, 'type=...')
        self.on = {self.main_role: on} if isinstance(on, str) else dict(on)
        self.loss_weight = loss_weight
        self.ramp_epochs = ramp_epochs
        self.detach_target = detach_target
        self.transfer_loss = (
            KLDivLoss(temperature, detach_target=detach_target)
            if transfer_loss is None
            else ROOT_MODELS.build(dict(transfer_loss))
        )

    # -- extension points ---------------------------------------------------

    def setup(self, spec: CohortSpec) -> None:
        """Build gates and heads; called once, before training."""

    def adapt(self, peers: Peers) -> Peers:
        """Return the peers with what all phases of a step read.

        It runs once per step, before the other methods.
        """
        return peers

    def auxiliary(self, peers: Peers, batch: Batch) -> dict[str, Tensors]:
        """Return auxiliary classifiers, name -> logits.

        Each is trained by the task loss and evaluated under its name. It
        also runs at validation, where ``batch`` has no labels.
        """
        return {}

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return who learns from what."""
        return []

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return further losses, name -> scalar."""
        return {}

    def phase_losses(
        self,
        phase: str,
        peers: Peers,
        aux: Mapping[str, Tensors],
        batch: Batch,
    ) -> dict[str, torch.Tensor]:
        """Return the losses of one of ``phases``, name -> scalar."""
        raise NotImplementedError(
            f'{type(self).__name__}.phases names {phase}, but phase_losses '
            'is not written'
        )

    def phase_parameters(
        self, phase: str, peers: Sequence[torch.nn.Module]
    ) -> Iterable[torch.nn.Parameter]:
        """Return what the optimizer of ``phase`` trains.

        Defaults to the parameters of the module of that name.

        Args:
            phase: one of ``phases``.
            peers: the networks.
        """
        module = getattr(self, phase, None)
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f'{type(self).__name__} has no module {phase}, the name of '
                'one of its phases: write phase_parameters'
            )
        return module.parameters()

    @property
    def ready(self) -> bool:
        """Whether the exchange can run before training starts."""
        return True

    def after_step(self, peers: Sequence[torch.nn.Module]) -> None:
        """Act after the optimizer's step; ``peers`` are the networks."""

    # -- the common part ----------------------------------------------------

    def forward(
        self,
        peers: Peers,
        batch: Batch,
        phase: str | None = None,
        aux: Mapping[str, Tensors] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the losses of this exchange, by log name.

        Args:
            peers: per peer, role -> tensor, e.g. ``logits`` (N, K, ...).
            batch: labels, sample indices and progress of the step.
            phase: None, or one of ``phases``.
            aux: what `auxiliary` gave for them, if it was already asked;
                then they are what `adapt` gave, too.

        Returns:
            ``peer0.loss_kd`` (transfers), ``<auxiliary>.loss_task`` and
            what `extra_losses` names, or the losses of the phase.
        """
        if aux is None:
            peers = self.adapt(peers)
            aux = self.auxiliary(peers, batch)
        if phase is not None:
            return self.phase_losses(phase, peers, aux, batch)
        losses: dict[str, torch.Tensor] = {
            f'{name}.loss_task': self.auxiliary_weight
            * batch.hard_loss(logits)
            for name, logits in aux.items()
        }
        transfers = self.transfers(peers, aux, batch)
        if transfers:
            factor = self.loss_weight * self.ramp(batch)
            for transfer in transfers:
                name, logits = self._learner(transfer.learner, peers, aux)
                target = transfer.target
                if self.detach_target:
                    target = detached(target)
                term = self.transfer_loss(logits, target)
                term = (factor * transfer.weight) * term
                losses[name] = losses[name] + term if name in losses else term
        for name, value in self.extra_losses(peers, aux, batch).items():
            losses[name] = self.loss_weight * value
        return losses

    def ramp(self, batch: Batch) -> float:
        """Return exp(-5 (1 - min(e, R) / R)^2) for epoch e; 1 for R = 0."""
        if not self.ramp_epochs:
            return 1.0
        return ramp_up(batch['epoch'], self.ramp_epochs)

    def _learner(
        self, learner: int | str, peers: Peers, aux: Mapping[str, Tensors]
    ) -> tuple[str, Tensors]:
        if isinstance(learner, str):
            return f'{learner}.loss_kd', aux[learner]
        index = range(len(peers))[learner]
        return f'peer{index}.loss_kd', peers[index][self.main_role]


def ramp_up(epoch: float, length: int) -> float:
    """Return the sigmoid-shaped ramp exp(-5 (1 - clip(e, 0, R) / R)^2)."""
    share = min(max(epoch, 0.0), length) / length
    return math.exp(-5.0 * (1.0 - share) ** 2)
