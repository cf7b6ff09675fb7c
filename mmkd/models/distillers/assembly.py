"""How a distiller is put together: roles, rehearsal, parts, summary."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModel

from mmkd.inputs import input_shapes
from mmkd.models.distillers.heads import build_heads, check_joint_heads
from mmkd.models.distillers.parts import (
    LogNames,
    Part,
    check_phases,
)
from mmkd.models.distillers.rehearsal import (
    BATCH,
    CannotRehearseError,
    Rehearsal,
)
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.summary import summarize
from mmkd.tasks import NETWORK_KEYS


class Assembled(BaseModel):
    """A model of roles and parts that is tried when it is built."""

    data_preprocessor: Any
    roles: list[Role]
    parts: list[Part]
    views: Any
    #: why the dry run was skipped, if it was
    unseen = ''

    def role(self, label: str) -> Role:
        """Return the role called ``label``.

        Raises:
            KeyError: there is none.
        """
        for role in self.roles:
            if role.label == label:
                return role
        raise KeyError(
            f'there is no role "{label}"; known: '
            f'{", ".join(role.label for role in self.roles)}'
        )

    def rehearse(
        self, input_shape: Sequence[int] | None = None
    ) -> Rehearsal | None:
        """Try all networks, heads and parts, before there are data.

        Random state, buffers and parameters stay as they are.

        Args and returns: see `watch`.

        Raises:
            ValueError: one refuses its tensors.
        """
        rehearsal = self.watch(input_shape)
        if rehearsal is not None:
            rehearsal.try_parts(self.parts)
        return rehearsal

    def watch(
        self, input_shape: Sequence[int] | None = None
    ) -> Rehearsal | None:
        """Run copies of all networks, and note the shapes of taps.

        Args:
            input_shape: (C, H, W); defaults to what preprocessor and
                networks say (`mmkd.inputs`), else (3, 224, 224).

        Returns:
            None (said in the log) if a network does not run.

        Raises:
            ValueError: ``input_shape`` is not of this form.
        """
        networks = [role.network for role in self.roles]
        shapes = [
            tuple(shape)
            for network in networks
            for shape in input_shapes(network, self.data_preprocessor)
        ]
        if input_shape is not None:
            shapes = [_image_shape(input_shape)]
        views = getattr(self.views, 'num_rotations', 1)
        try:
            return Rehearsal.of(
                self.roles, list(dict.fromkeys(shapes)), BATCH * views
            )
        except CannotRehearseError as error:
            self.unseen = f'dry run skipped: {error}'
        print_log(
            f'{self.unseen}; give model.input_shape=(C, H, W), or '
            'dry_run=False',
            logger='current',
            level=logging.WARNING,
        )
        return None

    def build_role_heads(
        self, role: Role, rehearsal: Rehearsal | None
    ) -> None:
        """Build the auxiliary heads of a role, and try them if possible."""
        if rehearsal is None:
            role.heads = build_heads(role)
        else:
            rehearsal.build_heads(role)
        check_joint_heads(role, self.views)

    def finish_building(self, rehearsal: Rehearsal | None) -> None:
        """Try all parts, settle their names and print the summary."""
        check_phases(self.parts)
        self._names = LogNames()
        if rehearsal is not None:
            for number, part, given in rehearsal.try_parts(self.parts):
                self._names.settle(number, part, given)
        taps = any(role.taps.paths for role in self.roles)
        if rehearsal is not None or self.parts or taps:
            print_log(self.summary(rehearsal), logger='current')

    def summary(self, rehearsal: Rehearsal | None = None) -> str:
        """Return networks, taps, losses and what is saved, as text."""
        return summarize(
            type(self).__name__,
            self.roles,
            self.parts,
            rehearsal,
            notes=self.summary_notes(),
            end=self.summary_end(),
        )

    def summary_notes(self) -> list[str]:
        """Return lines about the networks."""
        return []

    def summary_end(self) -> str:
        """Return the last line."""
        return ''

    def refuse_network_keys(self, keys: Mapping[str, Any]) -> None:
        """Explain constructor keys that do not belong to a distiller."""
        if not keys:
            return
        name = type(self).__name__
        inherited = sorted(set(keys) & NETWORK_KEYS)
        if inherited:
            raise ValueError(
                f'{name} got keys of an ordinary network: '
                f'{", ".join(inherited)}. The config inherits `model` from '
                'its base: add `_delete_=True` to model=dict(...) and give '
                'the network as student=_base_.model'
            )
        known = list(inspect.signature(type(self).__init__).parameters)
        near = {
            n for k in keys for n in difflib.get_close_matches(k, known[1:])
        }
        raise TypeError(
            f'{name} does not know model.{", model.".join(sorted(keys))}'
            + (f'; nearest: {", ".join(sorted(near))}' if near else '')
        )


def _image_shape(given: Sequence[int]) -> tuple[int, ...]:
    """Return (C, H, W).

    Raises:
        ValueError: ``given`` is not of this form.
    """
    if (
        isinstance(given, str)
        or len(given) != 3
        or not all(isinstance(n, int) and n > 0 for n in given)
    ):
        raise ValueError(
            f'model.input_shape={given!r} must be (C, H, W), e.g. '
            '(3, 224, 224)'
        )
    return tuple(given)
