"""Stacked hourglasses that share stem and first stacks (OKDHP)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.cohorts.sharing import nodes_by_level
from mmkd.networks import network_dict
from mmkd.registry import MODELS


@MODELS.register_module()
class HourglassCohort(Cohort):
    """Branches of a stacked hourglass, each a complete ordinary network.

    Branch t has the shared stacks, then ``individual_stacks[t]`` of its own.
    The heat maps of a shared stack count once: the losses of the first
    branch that has it judge them, those of the others leave them out.
    Paper: https://arxiv.org/abs/2108.02092.

    Args:
        peer: the network: a config name or model dict with a
            `StackedHourglass` and a ``CPMHead``; the numbers of its stacks
            and stages are those of each branch.
        shared_stacks: n0; 0 shares the stem alone. With a ``tree`` of
            several levels, a list of one number per level.
        individual_stacks: n_t; equal (balanced) or not (unbalanced).
        tree: see `Cohort`.
        init_cfg: see mmengine's BaseModule.

    Raises:
        ValueError: fewer than two branches, a branch without stacks of its
            own, or a network of another kind.
    """

    #: the configs of the branches stand nowhere else: they are exported, too
    writes_configs = True

    def __init__(
        self,
        peer: Any,
        shared_stacks: int | Sequence[int] = 2,
        individual_stacks: Sequence[int] = (2, 2, 2),
        tree: Sequence[Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        config = dict(
            peer=peer,
            shared_stacks=shared_stacks,
            individual_stacks=individual_stacks,
        )
        names, start = [], 0
        for level, count in enumerate(_per_level(shared_stacks)):
            stages = [f'stage{start + k + 1}' for k in range(count)]
            names.append(stages if level else ['stem', *stages])
            start += count
        levels = 1 if tree is None else len(nodes_by_level(tree))
        if len(names) != levels:
            raise ValueError(
                f'cohort.shared_stacks={shared_stacks} is of {len(names)} '
                f'level(s), cohort.tree={tree} of {levels}: give one number '
                'of stacks per level'
            )
        super().__init__(
            self.peer_configs(config), names, tree, init_cfg=init_cfg
        )
        self._count_once()

    @classmethod
    def peer_configs(cls, config: Mapping[str, Any]) -> list[Any]:
        """Return the dict of every branch as an ordinary network."""
        shared = sum(_per_level(config.get('shared_stacks', 2)))
        counts = config.get('individual_stacks', (2, 2, 2))
        if not isinstance(counts, Sequence) or len(counts) < 2:
            raise ValueError(
                f'cohort.individual_stacks={counts} must be a list of at '
                'least two numbers, the stacks of every branch: e.g. '
                '(2, 2, 2)'
            )
        if not all(isinstance(n, int) and n > 0 for n in counts):
            raise ValueError(
                f'cohort.individual_stacks={list(counts)}: every branch '
                'needs a stack of its own, so give whole numbers from 1 on'
            )
        peer = _checked(config.get('peer'))
        return [_with_stacks(peer, shared + count) for count in counts]

    def _count_once(self) -> None:
        """Let one branch alone judge the heat maps of a shared stack."""
        for part in self.sharing.parts:
            stages = [
                int(path.rpartition('.')[2])
                for path in part.paths
                if path.startswith('backbone.stacks.')
            ]
            for index in part.peers[1:]:
                head: Any = self.peers[index].head
                if not isinstance(head.loss_module, nn.ModuleList):
                    head.loss_module = nn.ModuleList(
                        [head.loss_module] * head.num_stages
                    )
                for stage in stages:
                    head.loss_module[stage] = JudgedElsewhere()


class JudgedElsewhere(nn.Module):
    """The loss of heat maps that another branch's loss counts."""

    def forward(self, output: torch.Tensor, *others: Any) -> torch.Tensor:
        """Return zero."""
        return output.new_zeros(())


def _per_level(shared_stacks: Any) -> list[int]:
    counts = (
        list(shared_stacks)
        if isinstance(shared_stacks, Sequence)
        else [shared_stacks]
    )
    first, *others = counts or [-1]
    if not isinstance(first, int) or first < 0 or any(n < 1 for n in others):
        raise ValueError(
            f'cohort.shared_stacks={shared_stacks} must be a number from 0 '
            'on (0 shares the stem alone), or one per level of cohort.tree, '
            'from 1 on after the first'
        )
    return counts


def _spec(peer: Any) -> Any:
    if not isinstance(peer, (str, dict)):
        raise TypeError(
            f'cohort.peer is a {type(peer).__name__}: HourglassCohort makes '
            'branches of a config, so give a model dict, or the name of a '
            'config'
        )
    return peer


def _checked(peer: Any) -> dict[str, Any]:
    network = network_dict(_spec(peer))
    for part, key, example in (
        ('backbone', 'num_stacks', "type='mmkd.StackedHourglass', "),
        ('head', 'num_stages', "type='CPMHead', final_layer=None, "),
    ):
        found = network.get(part)
        if not isinstance(found, dict) or key not in found:
            raise ValueError(
                f'cohort.peer.{part} has no {key}: a HourglassCohort is of '
                f'networks with {part}=dict({example}{key}=...); branches of '
                "another network share it by dict(type='mmkd.Cohort', "
                "peers=[network] * 3, shared=['backbone'])"
            )
    if isinstance(network['head'].get('loss'), (list, tuple)):
        raise ValueError(
            'cohort.peer.head.loss is a list, one for each stage, but the '
            'branches may differ in the number of stages: give one loss'
        )
    return network


def _with_stacks(peer: dict[str, Any], count: int) -> dict[str, Any]:
    network = copy.deepcopy(peer)
    network['backbone']['num_stacks'] = count
    network['head']['num_stages'] = count
    return network
