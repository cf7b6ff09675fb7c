"""The summary that a distiller prints once, when it is built."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mmkd.models.distillers.parts import Part
from mmkd.models.distillers.rehearsal import Rehearsal
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.shrink import shapes_of


def summarize(
    title: str,
    roles: Sequence[Role],
    parts: Sequence[Part],
    rehearsal: Rehearsal | None,
    *,
    notes: Sequence[str] = (),
    end: str = '',
) -> str:
    """Return networks, taps and losses as text.

    Args:
        title: first line.
        roles: their networks and heads.
        parts: losses or exchanges.
        rehearsal: what was seen of them, or None.
        notes: lines about the networks.
        end: last line.
    """
    lines = [title, '  networks']
    if rehearsal is not None:
        shape = 'x'.join(map(str, rehearsal.shape))
        lines[-1] += f' (multiply-adds of one {shape} input)'
    lines += [_network(role, rehearsal) for role in roles]
    lines += notes
    for role in roles:
        for name, head in role.heads.items():
            lines.append(
                f'    {role.label} aux_heads.{name}: {type(head).__name__}, '
                + (
                    f'{millions(head)} parameters, '
                    f'{role.state.partition(",")[0]}'
                    if any(True for _ in head.parameters())
                    else 'without parameters'
                )
            )
    lines.append('  taps')
    for name in dict.fromkeys(n for role in roles for n in role.taps.paths):
        lines.append(f'    {name}')
        for role in roles:
            if name in role.taps.paths:
                path = role.taps.describe(name)
                lines.append(
                    f'      {role.label} {path} {_seen(role, name, rehearsal)}'
                )
    lines.append('  losses (beside the task losses of what is trained)')
    lines += [f'    {part.describe()}' for part in parts]
    return '\n'.join([*lines, end] if end else lines)


def millions(module: nn.Module) -> str:
    """Return the number of parameters, e.g. ``0.867 M``."""
    return f'{sum(p.numel() for p in module.parameters()) / 1e6:.3f} M'


def _network(role: Role, rehearsal: Rehearsal | None) -> str:
    kind = type(role.network).__name__
    text = f'    {role.label}: {kind}, {millions(role.network)} parameters'
    if rehearsal is not None:
        cost = rehearsal.seen[role.label].multiply_adds
        text += f', {cost / 1e9:.3f} G multiply-adds'
    return f'{text}, {role.state}'


def _seen(role: Role, name: str, rehearsal: Rehearsal | None) -> str:
    if rehearsal is None:
        return ''
    found = rehearsal.seen[role.label].taps.get(name)
    return '(runs in training only)' if found is None else shapes_of(found)
