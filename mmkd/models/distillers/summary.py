"""The summary that a distiller prints once, when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from mmkd.models.distillers.dry_run import DryRunReport, SideReport
from mmkd.models.distillers.shrink import shapes_of

if TYPE_CHECKING:
    from mmkd.models.distillers.offline import OfflineDistiller


def summarize(distiller: OfflineDistiller, report: DryRunReport | None) -> str:
    """Return networks, taps, losses and what is saved, as text."""
    lines = [f'{type(distiller).__name__}']
    if report is not None:
        shape = 'x'.join(map(str, report.input_shape))
        lines.append(f'  networks (multiply-adds of one {shape} input)')
    else:
        lines.append('  networks')
    side = report.student if report else None
    lines.append(_network('student', distiller.student, side, 'trained'))
    for index, teacher in enumerate(distiller.teachers):
        side = report.teachers[index] if report else None
        lines.append(
            _network(
                _teacher_name(distiller, index),
                teacher.network,
                side,
                f'frozen, {teacher.checkpoint}',
            )
        )
    for name, head in distiller.aux_heads.items():
        lines.append(_network(f'aux_heads.{name}', head, None, 'trained'))
    lines.append('  taps')
    for name in distiller.student_taps.paths:
        lines.append(f'    {name}')
        path = distiller.student_taps.describe(name)
        seen = _seen(report.student if report else None, name)
        lines.append(f'      student {path} {seen}')
        for index, teacher in enumerate(distiller.teachers):
            if name in teacher.taps.paths:
                path = teacher.taps.describe(name)
                seen = _seen(report.teachers[index] if report else None, name)
                label = _teacher_name(distiller, index)
                lines.append(f'      {label} {path} {seen}')
    lines.append('  losses (beside the task loss of the student)')
    for term in distiller.terms:
        loss = distiller.losses[term.name]
        lines.append(
            f'    {term.name}: {type(loss).__name__} x {_weight(loss, term)} '
            f'({term.inputs()})'
        )
    saved = ['student']
    saved += [f'aux_heads.{name}' for name in distiller.aux_heads]
    saved += [
        f'losses.{name}'
        for name, loss in distiller.losses.items()
        if loss.state_dict()
    ]
    lines.append(f'  saved: {", ".join(saved)}; deployed: student')
    return '\n'.join(lines)


def _teacher_name(distiller: OfflineDistiller, index: int) -> str:
    return 'teacher' if len(distiller.teachers) == 1 else f'teacher {index}'


def _network(
    label: str, network: nn.Module, side: SideReport | None, state: str
) -> str:
    count = sum(p.numel() for p in network.parameters()) / 1e6
    text = f'    {label}: {type(network).__name__}, {count:.3f} M parameters'
    if side is not None and side.multiply_adds is not None:
        text += f', {side.multiply_adds / 1e9:.3f} G multiply-adds'
    return f'{text}, {state}'


def _seen(side: SideReport | None, name: str) -> str:
    if side is None:
        return ''
    if name not in side.taps:
        return '(runs in training only)'
    return shapes_of(side.taps[name])


def _weight(loss: nn.Module, term: object) -> str:
    weights = {
        name: value
        for name, value in vars(loss).items()
        if name.endswith('loss_weight') and isinstance(value, (int, float))
    }
    share = getattr(term, 'weight', 1.0)
    factor = '' if share == 1.0 else f'{share:g} x '
    if not weights:
        return f'{factor}1'
    if set(weights) == {'loss_weight'}:
        return f'{factor}{weights["loss_weight"]:g}'
    return factor + ', '.join(f'{k}={v:g}' for k, v in weights.items())
