"""Which methods and teachers there are, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from mmkd.apis.methods import METHODS
from mmkd.apis.tasks import SCOPES
from mmkd.apis.zoo import published

_LIMIT = 60


def list_methods(task: str | None = None) -> str:
    """Return the methods of a task, or of all, with what they need."""
    parts = []
    for name in [task] if task else METHODS:
        rows = [
            (key, method.needs, method.text)
            for key, method in METHODS[name].items()
        ]
        parts.append(
            f'{name} (auto takes the first that fits)\n{_table(rows)}'
        )
    return '\n\n'.join(parts)


def list_teachers(task: str | None = None, match: str = '') -> str:
    """Return networks with published weights, with data set and score."""
    parts = []
    for name in [task] if task else SCOPES:
        found = list(published(name, match))
        rows = [(e.name, e.dataset, e.score) for e in found[:_LIMIT]]
        text = f'{name}: {len(found)} with published weights'
        if rows:
            text += f'\n{_table(rows)}'
        if len(found) > _LIMIT:
            text += f'\n  … {len(found) - _LIMIT} more: narrow by --match'
        parts.append(text)
    parts.append(
        'Own runs are teachers, too: a config (its newest checkpoint is '
        'taken), a checkpoint, or both. For classification also timm:NAME.'
    )
    return '\n\n'.join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return '\n'.join(
        '  '
        + '  '.join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )
