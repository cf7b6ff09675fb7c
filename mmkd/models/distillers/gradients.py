"""Do the losses reach the networks that they should train?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from mmkd.models.distillers.parts import Named, Part
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.shrink import as_list
from mmkd.models.distillers.wiring import head_inputs


def check_gradients(
    parts: Sequence[Part], roles: Sequence[Role], tensors: Named
) -> None:
    """Refuse a loss that no gradient leaves towards what it should train.

    Args:
        parts: of the distiller.
        roles: with the taps.
        tensors: of a training step.

    Raises:
        ValueError: names loss, tap and cause.
    """
    by_label = {role.label: role for role in roles}
    for part in parts:
        for label, names in part.trains():
            found = [t for n in names for t in as_list(tensors[label][n])]
            if not found or any(tensor.requires_grad for tensor in found):
                continue
            role = by_label[label]
            taps = [tap for name in names for tap in _taps_of(role, name)]
            where = '; '.join(
                f'taps.{tap}="{role.taps.describe(tap)}"' for tap in taps
            )
            raise ValueError(
                f'{part.title} trains nothing: {", ".join(names)} of the '
                f'{label} ({where}) has no gradient in a training step; '
                f'{_cause(role, taps)}'
            )


def _taps_of(role: Role, name: str) -> Iterator[str]:
    """Return the taps that ``name`` is, or that its head reads."""
    config = role.wiring.heads.get(name)
    if config is None:
        yield name
        return
    for source in head_inputs(config):
        yield from _taps_of(role, source)


def _cause(role: Role, taps: Sequence[str]) -> str:
    for path in (path.module for tap in taps for path in role.taps.paths[tap]):
        for place, module in _with_parents(role.network, path):
            if place != path and _checkpoints(module):
                return (
                    f'it is inside "{place}", which runs under activation '
                    'checkpointing (with_cp=True or the like): tap the '
                    f'output of "{place}", or switch that off'
                )
        parameters = list(role.network.get_submodule(path).parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            return (
                f'"{path}" is frozen (frozen_stages, model.frozen_modules or '
                'requires_grad=False): tap a module that is trained, or '
                'after one'
            )
    return (
        'its module runs under torch.no_grad(), the result is detached, or '
        'all layers up to it are frozen: tap a module that is trained, or '
        'after one'
    )


def _with_parents(
    network: nn.Module, path: str
) -> Iterator[tuple[str, nn.Module]]:
    """Return the module at ``path`` and all around it, inside out."""
    while path:
        yield path, network.get_submodule(path)
        path = path.rpartition('.')[0]


def _checkpoints(module: nn.Module) -> bool:
    """Return whether a module says that it uses checkpointing."""
    names = ('with_cp', 'use_checkpoint', 'grad_checkpointing')
    return any(
        getattr(module, name, False) is True
        for name in (*names, 'gradient_checkpointing')
    )
