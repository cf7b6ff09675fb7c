"""Roles of moving averages: mean teachers, mean peers, key encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mmkd.models.cohorts.followers import Followers, make_followers
from mmkd.models.cohorts.sharing import SharedPart, SharedRun
from mmkd.models.distillers.rehearsal import Rehearsal
from mmkd.models.distillers.role import Role, without_gradient
from mmkd.models.distillers.views import ViewMaker
from mmkd.models.distillers.wiring import Wiring
from mmkd.taps import Tensors


@dataclass(eq=False)
class Following:
    """Averaged copies of the student, or of all peers.

    Args:
        copies: the module that the distiller registers.
        roles: one per copy.
        sharing: runs what the copies share once per view.
        view: ``'own'``, the view of what is followed, or an index.
    """

    copies: Followers
    roles: list[Role]
    sharing: SharedRun
    view: int | str = 'own'

    def observe(
        self, inputs: Any, images: Sequence[torch.Tensor], views: ViewMaker
    ) -> Iterator[tuple[Role, Any, dict[str, Tensors]]]:
        """Return role, output and named tensors of every copy.

        Args:
            inputs: of the batch, as the preprocessor gives them.
            images: that each of the followed networks sees.
            views: shows images through the view set.
        """
        with self.sharing.active() as sharing:
            for index, role in enumerate(self.roles):
                if self.view == 'own':
                    seen = images[index]
                elif isinstance(inputs, torch.Tensor):  # in evaluation
                    seen = inputs
                else:
                    seen = inputs[self.view]
                sharing.next_peer(id(seen))
                shown = views(seen).images
                yield role, *role.observe(shown, views.samples)


def follow(
    key: str,
    followed: Sequence[Role],
    labels: Sequence[str],
    wirings: Sequence[Wiring],
    options: Mapping[str, Any],
    shared: Sequence[SharedPart] = (),
    rehearsal: Rehearsal | None = None,
) -> Following:
    """Make averaged copies of trained networks and their heads.

    Args:
        key: of the config, for messages.
        followed: roles of the networks, their heads built.
        labels: of the copies.
        wirings: what the copies must give.
        options: of `Followers`, and ``view``.
        shared: what the networks share.
        rehearsal: shows the copies, if there is one.

    Raises:
        TypeError: an option is unknown.
        ValueError: an auxiliary head is read of the copies alone.
    """
    options = dict(options)
    view = options.pop('view', 'own')
    for role, wiring in zip(followed, wirings, strict=True):
        missing = sorted(set(wiring.heads) - set(role.heads))
        if missing:
            raise ValueError(
                f'{key}: aux_heads.{missing[0]} is read of what follows the '
                f'{role.label} alone, so nothing trains it: let a loss or '
                f'exchange read it of the {role.label} too'
            )
    copies = make_followers(
        key,
        [role.network for role in followed],
        [role.heads for role in followed],
        options,
    )
    roles = [
        Role(
            label,
            network,
            wiring,
            context=without_gradient,
            learns=False,
            state=f'follows {role.label}',
            heads=heads,
        )
        for label, network, wiring, role, heads in zip(
            labels,
            copies.networks,
            wirings,
            followed,
            copies.heads,
            strict=True,
        )
    ]
    if rehearsal is not None:
        for role in roles:
            rehearsal.add(role)
    return Following(copies, roles, SharedRun(copies.networks, shared), view)
