"""The summary that a cohort prints once, when it is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmkd.models.distillers.shrink import shapes_of

if TYPE_CHECKING:
    from mmkd.models.distillers.online import OnlineDistiller


def summarize_cohort(
    distiller: OnlineDistiller, report: Sequence[Any] | None
) -> str:
    """Return peers, what they share, taps and exchanges, as text."""
    lines = [type(distiller).__name__]
    title = '  peers'
    if report:
        shape = 'x'.join(map(str, report[0].input_shape))
        title += f' (multiply-adds of one {shape} input)'
    lines.append(title)
    for index, peer in enumerate(distiller.cohort.peers):
        text = f'    peer{index}: {type(peer).__name__}, {_millions(peer)}'
        if report and report[index].multiply_adds is not None:
            text += (
                f', {report[index].multiply_adds / 1e9:.3f} G multiply-adds'
            )
        lines.append(text)
    for part in distiller.cohort.sharing.parts:
        members = ', '.join(f'peer{k}' for k in part.peers)
        scaled = (
            f', gradient / {part.branches}'
            if distiller.cohort.sharing.scale_gradient
            else ''
        )
        lines.append(
            f'    shared by {members}: {", ".join(part.paths)}{scaled}'
        )
    lines.append(f'    all together: {_millions(distiller.cohort)}')
    if any(len(heads) for heads in distiller.aux_heads):
        lines.append('  auxiliary heads')
        for index, heads in enumerate(distiller.aux_heads):
            for name, head in heads.items():
                lines.append(
                    f'    peer{index} {name}: {type(head).__name__}, '
                    f'{_millions(head)}'
                )
    lines.append('  taps')
    for name in distiller.taps[0].paths:
        lines.append(f'    {name}')
        for index, taps in enumerate(distiller.taps):
            seen = ''
            if report:
                seen = shapes_of(report[index].taps.get(name))
            lines.append(f'      peer{index} {taps.describe(name)} {seen}')
    lines.append('  exchanges (beside the task losses of the peers)')
    for exchange in distiller.exchanges:
        reads = ', '.join(
            name if role == name else f'{role}={name}'
            for role, name in exchange.on.items()
        )
        text = f'    {type(exchange).__name__} x {exchange.loss_weight:g}'
        if exchange.ramp_epochs:
            text += f', ramp over {exchange.ramp_epochs} epochs'
        lines.append(f'{text} ({reads})')
    deploy = distiller.deploy
    if isinstance(deploy, int):
        deploy = f'peer{distiller.deployed_index}'
    lines.append(f'  deployed: {deploy}')
    return '\n'.join(lines)


def _millions(module: Any) -> str:
    count = sum(p.numel() for p in module.parameters())
    return f'{count / 1e6:.3f} M parameters'
