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
from mmkd.models.distillers.views import ViewMaker, view_of
from mmkd.models.distillers.wiring import Wiring
from mmkd.taps import Tensors
from mmkd.utils.batch_shuffle import BatchShuffle


@dataclass(eq=False)
class Following:
    """Averaged copies of the student, or of all peers.

    Args:
        copies: the module that the distiller registers.
        roles: one per copy.
        sharing: runs what the copies share once per view.
        key: of the config, for messages.
        view: ``'own'``, the view of what is followed, or an index.
        shuffle: in training, show them the samples of all processes in
            another order (`BatchShuffle`), the same for all copies.
    """

    copies: Followers
    roles: list[Role]
    sharing: SharedRun
    key: str
    view: int | str = 'own'
    shuffle: bool = False

    def observe(
        self, inputs: Any, images: Sequence[torch.Tensor], views: ViewMaker
    ) -> Iterator[tuple[Role, Any, dict[str, Tensors]]]:
        """Return role, output and named tensors of every copy.

        Args:
            inputs: of the batch, as the preprocessor gives them.
            images: that each of the followed networks sees.
            views: shows images through the view set.

        Raises:
            ValueError: the batch lacks their view.
        """
        one_for_all = torch.is_tensor(inputs) and not self.copies.training
        if self.view == 'own' or one_for_all:
            seen = list(images)
        else:
            view = view_of(inputs, int(self.view), f'{self.key}.view')
            seen = [view] * len(self.roles)
        samples, undo = views.samples, None
        if self.shuffle and self.copies.training:
            shuffle = BatchShuffle(len(seen[0]), seen[0].device)
            shuffled = {id(view): shuffle(view) for view in seen}
            seen = [shuffled[id(view)] for view in seen]
            samples, undo = None, shuffle.undo
        with self.sharing.active() as sharing:
            for role, view in zip(self.roles, seen, strict=True):
                sharing.next_peer(id(view))
                output, found = role.observe(views(view).images, samples)
                if undo is not None:
                    output, found = undo(output), undo(found)
                yield role, output, found


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
        options: of `Followers`, and ``view``, ``shuffle``.
        shared: what the networks share.
        rehearsal: shows the copies, if there is one.

    Raises:
        TypeError: an option is unknown.
        ValueError: an auxiliary head is read of the copies alone, a view
            that is none, or a shuffle without statistics of the batch.
    """
    options = dict(options)
    view = options.pop('view', 'own')
    shuffle = options.pop('shuffle', False)
    if view != 'own' and not isinstance(view, int):
        raise ValueError(
            f"{key}.view={view!r} must be 'own' or the index of a view"
        )
    if shuffle and options.get('buffers', 'copy') != 'own':
        raise ValueError(
            f'{key}.shuffle=True has no effect on copies in eval mode: set '
            "buffers='own', for statistics of the batch, or leave it out"
        )
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
    sharing = SharedRun(copies.networks, shared)
    return Following(copies, roles, sharing, key, view, shuffle)
