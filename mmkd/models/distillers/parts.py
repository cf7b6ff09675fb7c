"""A part of a distiller's loss: a loss term or an exchange."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from mmkd.models.distillers.batch import Batch
from mmkd.taps import Tensors
from mmkd.utils.modes import evaluating

#: label of a role -> name -> tensor
Named = Mapping[str, Mapping[str, Tensors]]
#: phase (None is the common one) -> log name -> scalar
ByPhase = dict[str | None, dict[str, Any]]


class Part:
    """What turns named tensors of roles into losses.

    Args:
        module: holds parameters and state; registered by the distiller.
        title: its name in messages.
    """

    def __init__(self, module: nn.Module, title: str) -> None:
        self.module = module
        self.title = title

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases after the common one, each with its own optimizer."""
        return tuple(getattr(self.module, 'phases', ()))

    @property
    def ready(self) -> bool:
        """Whether it can run before training starts."""
        return bool(getattr(self.module, 'ready', True))

    def reads(self) -> list[tuple[str, str]]:
        """Return (label of a role, name) of every tensor that is read."""
        raise NotImplementedError

    def trains(self) -> list[tuple[str, Sequence[str]]]:
        """Return labels of roles that learn from it, each with what it reads.

        At least one of these tensors must have a gradient.
        """
        return []

    def losses(self, tensors: Named, batch: Batch) -> ByPhase:
        """Return the losses of every phase."""
        raise NotImplementedError

    def rehearse(self, tensors: Named, batch: Batch) -> ByPhase:
        """Return the losses, leaving buffers as they are."""
        with evaluating(self.module):
            return self.losses(tensors, batch)

    def inputs(self, tensors: Named) -> dict[str, Tensors]:
        """Return what is read, for messages."""
        return {
            f'{label} {name}': tensors[label][name]
            for label, name in self.reads()
        }

    def hint(self, tensors: Named, size: Sequence[int]) -> str:
        """Return what a message adds when tensors are refused.

        Args:
            tensors: that were read.
            size: (H, W) of the images.
        """
        return ''

    def describe(self) -> str:
        """Return what the summary says of it."""
        raise NotImplementedError

    def phase_parameters(
        self, phase: str, networks: Sequence[nn.Module]
    ) -> Iterable[nn.Parameter]:
        """Return what the optimizer of ``phase`` trains.

        Args:
            phase: one of ``phases``.
            networks: that are trained: the student, or the peers.
        """
        ask = getattr(self.module, 'phase_parameters', None)
        if ask is not None:
            return ask(phase, networks)
        return parameters_of(self.module, phase)

    @property
    def acts(self) -> bool:
        """Whether it does something after the optimizers' steps."""
        return hasattr(self.module, 'after_step')

    def after_step(self, networks: Sequence[nn.Module]) -> None:
        """Act after the optimizers' steps."""
        if self.acts:
            self.module.after_step(networks)  # type: ignore[operator]

    def name_for(self, name: str, phase: str | None, taken: bool) -> str:
        """Return the log name of a loss, another where it is ``taken``."""
        raise NotImplementedError


def parameters_of(module: nn.Module, phase: str) -> Iterable[nn.Parameter]:
    """Return the parameters of the submodule that is named like a phase.

    Raises:
        TypeError: there is none.
    """
    trained = getattr(module, phase, None)
    if not isinstance(trained, nn.Module):
        raise TypeError(
            f'{type(module).__name__} has no module {phase}, the name of one '
            'of its phases: write phase_parameters'
        )
    return trained.parameters()


class LogNames:
    """Gives every loss a log name that no other has.

    Names are settled once, when a part first gives them: in the rehearsal,
    or in the first step where there is none.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str | None, str], str] = {}
        self._parts: dict[str, Part] = {}

    def settle(
        self,
        number: int,
        part: Part,
        given: ByPhase,
        own: Collection[str] = (),
    ) -> None:
        """Name what part ``number`` gives.

        Args:
            number: of the part.
            part: whose losses these are.
            given: its losses.
            own: names that the networks' own losses have.
        """
        for phase, losses in given.items():
            for name in losses:
                settled = self._names.get((number, phase, name))
                if settled is not None and settled not in own:
                    continue
                taken = name in self._parts or name in own
                found = part.name_for(name, phase, taken)
                self._names[number, phase, name] = found
                self._parts[found] = part

    def __getitem__(self, key: tuple[int, str | None, str]) -> str:
        """Return the log name of (number of part, phase, name)."""
        return self._names[key]

    def part_of(self, name: str) -> Part | None:
        """Return the part that gave the loss called ``name``."""
        return self._parts.get(name)


def check_phases(parts: Sequence[Part]) -> None:
    """Refuse phases that could not be told apart.

    Raises:
        ValueError: two parts have a phase of the same name.
    """
    owners: dict[str, Part] = {}
    for part in parts:
        for phase in part.phases:
            if phase in owners:
                raise ValueError(
                    f'{owners[phase].title} and {part.title} both have a '
                    f'phase "{phase}": every phase has an optimizer of its '
                    'own, so give one of them another name'
                )
            owners[phase] = part
