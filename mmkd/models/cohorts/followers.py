"""Moving averages of trained networks: mean teachers, key encoders."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd.utils.settings import check_flags

BUFFERS = ('copy', 'own')


class Followers(nn.Module):
    """Copies of networks whose weights follow them.

    After every step: copy = m * copy + (1 - m) * network, parameters only;
    what several networks share, their copies share. They carry no gradient
    and are saved; `start` makes them equal to the networks (after these
    were initialised).

    Args:
        networks: that are followed.
        heads: their auxiliary heads, followed likewise.
        momentum: m, in [0, 1).
        final_momentum: m grows to it along half a cosine over the training.
        warmup: m is at most 1 - 1 / t in step t: an arithmetic mean at first,
            and the first step copies.
        buffers: ``'copy'`` takes the networks' buffers and stays in eval
            mode (batch norm with their running averages); ``'own'`` runs in
            the distiller's mode and keeps running averages of its own.

    Buffers: ``steps``, the number of updates.

    Raises:
        ValueError: a momentum outside of [0, 1), or other buffers.
    """

    steps: torch.Tensor

    def __init__(
        self,
        networks: Sequence[nn.Module],
        heads: Sequence[nn.Module] = (),
        momentum: float = 0.999,
        final_momentum: float | None = None,
        warmup: bool = False,
        buffers: str = 'copy',
    ) -> None:
        super().__init__()
        check_flags('followers', warmup=warmup)
        for name, value in dict(
            momentum=momentum, final_momentum=final_momentum
        ).items():
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(
                    f'followers: {name}={value} must lie between 0 and 1; '
                    'it is the share of the old weights, e.g. 0.999'
                )
        if buffers not in BUFFERS:
            raise ValueError(
                f"followers: buffers='{buffers}' must be one of "
                f'{", ".join(BUFFERS)}'
            )
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.warmup = warmup
        self.own_buffers = buffers == 'own'
        # Not registered: the distiller has them as students or peers.
        followed = nn.ModuleList(map(nn.ModuleList, (networks, heads)))
        self.__dict__['_followed'] = followed
        copies: Any = copy.deepcopy(followed)
        self.networks: nn.ModuleList = copies[0]
        self.heads: nn.ModuleList = copies[1]
        self.requires_grad_(False)
        self.register_buffer('steps', torch.tensor(0))
        self._count: int | None = 0
        self.train(self.training)

    def __len__(self) -> int:
        """Return the number of networks."""
        return len(self.networks)

    def __getitem__(self, index: int) -> nn.Module:
        """Return the copy of network ``index``."""
        return self.networks[index]

    @torch.no_grad()
    def start(self) -> None:
        """Take the weights and buffers that the networks have now."""
        for target, source in self._pairs('state_dict'):
            target.copy_(source)
        self.steps.zero_()
        self._count = 0

    @torch.no_grad()
    def follow(self) -> None:
        """Go one step after the networks."""
        if self._count is None:  # after a checkpoint was loaded
            self._count = int(self.steps)
        self._count += 1
        self.steps += 1
        pairs = self._pairs('named_parameters')
        torch._foreach_lerp_(
            [target for target, _ in pairs],
            [source.detach().to(target) for target, source in pairs],
            1.0 - self.current(),
        )
        if not self.own_buffers:
            for target, source in self._pairs('named_buffers'):
                target.copy_(source)

    def _pairs(self, kind: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return copies and what they follow, shared ones once."""
        copies = nn.ModuleList([self.networks, self.heads])
        own, theirs = (
            dict(getattr(both, kind)()) for both in (copies, self._followed)
        )
        return [(own[key], theirs[key]) for key in own]

    def current(self) -> float:
        """Return m of the present step."""
        count = self._count or 0
        momentum = self.momentum
        if self.final_momentum is not None:
            hub = MessageHub.get_current_instance()
            last = hub.runtime_info.get('max_iters') or count or 1
            wave = (math.cos(math.pi * min(count / last, 1.0)) + 1) / 2
            gap = self.final_momentum - momentum
            momentum = self.final_momentum - gap * wave
        if self.warmup:
            momentum = min(momentum, 1.0 - 1.0 / max(count, 1))
        return momentum

    def train(self, mode: bool = True) -> Followers:
        """Switch the mode of copies with buffers of their own."""
        super().train(mode)
        for copies in (self.networks, self.heads):
            copies.train(mode and self.own_buffers)
        return self

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._count = None


def make_followers(
    key: str,
    networks: Sequence[nn.Module],
    heads: Sequence[nn.Module],
    options: Mapping[str, Any],
) -> Followers:
    """Return `Followers` with the ``options`` that the config has at ``key``.

    Raises:
        TypeError: an option is unknown.
    """
    known = set(inspect.signature(Followers).parameters)
    known -= {'networks', 'heads'}
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(
            f'{key} has the unknown key {", ".join(unknown)}; known: '
            f'{", ".join(sorted(known | {"view", "shuffle"}))}'
        )
    return Followers(networks, heads, **options)
