"""A rehearsal at build time: finds shape errors before data is loaded.

The networks run as copies without storage (torch's meta device), which costs
nothing and gives the true shapes, or, where that cannot be (two-stage
detectors), as real copies; auxiliary heads, losses and exchanges then
run for real on random tensors of these channels and small height and width
(and, where those are refused, of the true ones).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from mmkd.models.distillers.batch import DummyBatch
from mmkd.models.distillers.filling import Shapes
from mmkd.models.distillers.heads import build_heads, try_head
from mmkd.models.distillers.layouts import check_layout, classes_note
from mmkd.models.distillers.parts import ByPhase, Part
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.shrink import (
    Shrink,
    cast,
    shapes_of,
    size_of,
)
from mmkd.taps import Tensors
from mmkd.tasks import label_shape
from mmkd.utils.meta_copy import COPIES, meta_copy, run_copy

BATCH = 2
SIDE = 16  # largest height and width on which losses are tried

# What losses raise on tensors that they were not made for.
_REFUSALS = (ValueError, TypeError, RuntimeError, IndexError, AttributeError)

Trial = tuple[int, Part, ByPhase]


class CannotRehearseError(Exception):
    """The network does not run on the input of the rehearsal."""


@dataclass
class Seen:
    """What the rehearsal saw of one network.

    Args:
        multiply_adds: of one image.
        taps: name -> tensor, of use for its shape alone.
    """

    multiply_adds: float
    taps: dict[str, Tensors] = field(default_factory=dict)


class Rehearsal:
    """What was seen of every role, and trials on it.

    Args:
        roles: what is tried; the first one's task gives the labels.
        shape: (C, H, W) of the input.
        rows: how many images; several per image of a batch where there are
            views.

    Raises:
        CannotRehearseError: a network does not run.
        ValueError: a tap of a network that is only observed never runs.
    """

    def __init__(
        self, roles: Sequence[Role], shape: Sequence[int], rows: int = BATCH
    ) -> None:
        self.shape = tuple(shape)
        self.rows = rows
        self.roles: list[Role] = []
        self.seen: dict[str, Seen] = {}
        self._tensors: dict[str, dict[str, Tensors]] = {}
        for role in roles:
            self.add(role)

    def add(self, role: Role) -> None:
        """Watch one more role.

        Raises: see `Rehearsal`.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            seen = watch(role, self.rows, self.shape)
        if not role.learns:
            _require_all(role, seen)
        self.roles.append(role)
        self.seen[role.label] = seen
        sides = [seen.taps for seen in self.seen.values()]
        self._small = Shrink(sides, self.shape, SIDE)
        self._true = Shrink(sides, self.shape)

    @classmethod
    def of(
        cls,
        roles: Sequence[Role],
        shapes: Sequence[Sequence[int]],
        rows: int = BATCH,
    ) -> Rehearsal:
        """Return the rehearsal on the first shape that all run on.

        Args:
            roles: see `Rehearsal`.
            shapes: (C, H, W) to try, the likeliest first.
            rows: see `Rehearsal`.

        Raises:
            CannotRehearseError: there is none; says why the likeliest fails.
        """
        reasons = []
        for shape in shapes:
            try:
                return cls(roles, shape, rows)
            except CannotRehearseError as error:
                reasons.append(f'{error} on an input of {(rows, *shape)}')
        raise CannotRehearseError(reasons[0])

    # -- what heads and losses are built from -------------------------------

    def build_heads(self, role: Role) -> None:
        """Build the auxiliary heads of ``role`` and try each."""
        state = torch.get_rng_state()
        try:
            role.heads = build_heads(role, self._taps(role, self._small))
        except ValueError:  # some modules need the true sizes
            torch.set_rng_state(state)
            role.heads = build_heads(role, self._taps(role, self._true))

    def shape_of(self, role: Role, name: str) -> Shapes:
        """Return the true shape of a tap or of a head's output.

        Returns:
            Shape, or shapes of a list; None if it was not seen.
        """
        tensors = self.seen[role.label].taps
        if name in role.wiring.heads:
            tensors = self._outputs(role)
        return size_of(tensors[name]) if name in tensors else None

    def _outputs(self, role: Role) -> dict[str, Tensors]:
        """Return taps and outputs of heads, without storage if possible.

        Heads that are not built yet are tried out and thrown away.
        """
        if role.label not in self._tensors:
            heads = role.heads
            with torch.random.fork_rng(devices=[]):
                if not heads:
                    self.build_heads(role)
                self._tensors[role.label] = self._run_heads(role)
            role.heads = heads
        return self._tensors[role.label]

    def _run_heads(self, role: Role) -> dict[str, Tensors]:
        tensors = dict(self.seen[role.label].taps)
        try:
            for name, head in role.heads.items():
                try_head(name, meta_copy(head), role, tensors)
        except ValueError:  # an operator may lack a meta form
            tensors = self._taps(role, self._true)
            for name, head in role.heads.items():
                try_head(name, head, role, tensors)
        return tensors

    # -- trials -------------------------------------------------------------

    def try_parts(self, parts: Iterable[Part]) -> list[Trial]:
        """Try heads, losses and exchanges.

        Random state, buffers and parameters stay as they are.

        Returns:
            Number, part and its losses, of those that could be tried.

        Raises:
            ValueError: one refuses its tensors.
        """
        parts = list(parts)
        try:
            return self._try(parts, self._small)
        except ValueError:  # some modules need the true sizes
            return self._try(parts, self._true)

    def _try(self, parts: Sequence[Part], shrink: Shrink) -> list[Trial]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            tensors = {}
            for role in self.roles:
                own = self._taps(role, shrink)
                dtype = getattr(role.entry, 'dtype', None)
                own = {name: cast(value, dtype) for name, value in own.items()}
                for name, head in role.heads.items():
                    try_head(name, head, role, own)
                tensors[role.label] = own
            labels = label_shape(self.roles[0].network, shrink.size)
            batch = DummyBatch((BATCH, *labels), self.rows)
            return [
                (number, part, self._try_part(part, tensors, batch, shrink))
                for number, part in enumerate(parts)
                if part.ready
                and all(
                    name in tensors.get(label, ())
                    for label, name in part.reads()
                )  # not if a module runs in training alone
            ]

    def _try_part(
        self, part: Part, tensors: Any, batch: DummyBatch, shrink: Shrink
    ) -> ByPhase:
        try:
            check_layout(part, self.roles, tensors)
            return part.rehearse(tensors, batch)
        except _REFUSALS as error:
            seen = '; '.join(
                f'{label} {name} {shapes_of(self.seen[label].taps.get(name))}'
                for label, name in part.reads()
            )
            hints = (
                part.hint(tensors, shrink.size),
                classes_note(part, self.roles),
            )
            raise ValueError(
                f'{part.title} does not fit its tensors [{seen}]: {error}'
                + ''.join(f'; {hint}' for hint in hints if hint)
                + ' (found by the dry run; model.dry_run=False skips it)'
            ) from error

    def _taps(self, role: Role, shrink: Shrink) -> dict[str, Tensors]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return {
                name: shrink(value)
                for name, value in self.seen[role.label].taps.items()
            }


def watch(role: Role, rows: int, shape: Sequence[int]) -> Seen:
    """Run a copy of a role's network.

    Raises:
        CannotRehearseError: it does not run.
    """
    for make in COPIES:
        clone = make(role.network).eval()
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), role.running_taps(clone) as record, counter:
            try:
                run_copy(clone, rows, shape)
            except Exception as error:  # any operator may lack a meta form
                failed = error
                continue
        flops = counter.get_total_flops()
        return Seen(
            flops / 2 / rows,
            {n: record[n] for n in role.taps.paths if record.ran(n)},
        )
    raise CannotRehearseError(
        f'{role.label} did not run ({type(failed).__name__}: {failed})'
    ) from failed


def _require_all(role: Role, seen: Seen) -> None:
    """Refuse taps on modules that the forward pass alone does not run."""
    for name in role.taps.paths:
        if name not in seen.taps:
            raise ValueError(
                f'taps.{name}="{role.taps.describe(name)}": this module of '
                f'the {role.label} does not run in a forward pass without '
                'labels (it may serve training alone, as auxiliary heads '
                'do); tap another one, or a layer inside it'
            )
