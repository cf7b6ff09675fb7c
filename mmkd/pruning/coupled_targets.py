"""Which targets can be pruned together with all layers they add to."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mmkd.checkpoints.verify import random_inputs
from mmkd.pruning.compaction.coupled import (
    CoupledGroup,
    follow_channels,
    groups_of,
    reasons_without_group,
)
from mmkd.pruning.granularity import num_units
from mmkd.pruning.scores import num_pruned
from mmkd.pruning.targets import Target


def couple_targets(
    model: nn.Module,
    targets: Sequence[Target],
    input_shape: Sequence[int] | None = None,
) -> tuple[list[Target], list[CoupledGroup], dict[str, str]]:
    """Return the targets that can be coupled, their groups, and the others.

    A group counts if all of its convolutions are targets and none of its
    batch norms is frozen.

    Args:
        model: not wrapped; a distiller, too.
        targets: see `find_targets`.
        input_shape: (C, H, W) on which the networks are followed; defaults
            to what preprocessor and network say (`mmkd.inputs`), else 224.

    Returns:
        Targets, groups, and path of a target left out -> why.

    Raises:
        ValueError: a network does not run on this shape, no target is left,
            or the layers of a group have several rates.
    """
    shape = random_inputs(model, input_shape).shape[1:]
    try:
        graph = follow_channels(model, shape)
    except ValueError as error:
        raise ValueError(
            f'coupled=True follows channels through a run, but {error}; set '
            'input_shape=(C, H, W) of the pruning hook'
        ) from error
    rates = {target.name: target.rate for target in targets}
    left_out = reasons_without_group(graph, rates)

    def frozen(name: str) -> bool:
        parameters = model.get_submodule(name).parameters()
        return not all(parameter.requires_grad for parameter in parameters)

    groups = []
    for group in groups_of(graph, model):
        obstacles = [
            *(f'{k}, which is no target' for k in group.convs.keys() - rates),
            *(f'{k}, which is frozen' for k in group.norms if frozen(k)),
        ]
        if not obstacles:
            _check_rates(group, rates)
            groups.append(group)
        for name in group.convs.keys() & rates if obstacles else ():
            left_out[name] = f'shares channels with {min(obstacles)}'
    coupled = {name for group in groups for name in group.convs}
    kept = [target for target in targets if target.name in coupled]
    if not kept:
        name, reason = next(iter(left_out.items()))
        raise ValueError(
            f'coupled=True: none of {len(rates)} targets can be pruned '
            f'together with the layers they add to, e.g. {name}: {reason}; '
            'choose others by include and exclude, or set coupled=False'
        )
    return kept, groups, left_out


def planned_zeros(
    targets: Sequence[Target],
    groups: Sequence[CoupledGroup] = (),
    granularity: str = 'filter',
) -> dict[str, int]:
    """Return how many filters, or weights, of each target become zero."""
    if not groups:
        return {
            target.name: num_pruned(
                num_units(target.weight, granularity), target.rate
            )
            for target in targets
        }
    counts = dict.fromkeys((target.name for target in targets), 0)
    rates = {target.name: target.rate for target in targets}
    for group in groups:
        for name in group.convs:
            counts[name] += num_pruned(group.size, rates[name])
    return counts


def _check_rates(group: CoupledGroup, rates: dict[str, float]) -> None:
    own = {name: rates[name] for name in group.convs}
    if len(set(own.values())) > 1:
        text = ', '.join(f'{name} {rate}' for name, rate in own.items())
        raise ValueError(
            'coupled=True: layers that add to the same channels have '
            f'different rates ({text}); give layer_rates a pattern for all '
            'of them'
        )
