"""The table of docs/benchmarks/trust.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.kill_and_resume import is_exact
from benchmarks.trust.parts import PARTS
from benchmarks.trust.soak import is_steady

PAGE = Path(__file__).resolve().parents[2] / 'docs/benchmarks/trust.md'
_BEGIN, _END = '<!-- table: begin -->', '<!-- table: end -->'


def write_table(results: Mapping[str, Any]) -> None:
    """Replace the table of the page.

    Args:
        results: part -> what a run of it gave.
    """
    text = PAGE.read_text(encoding='utf-8')
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    table = '\n'.join(table_of(results))
    PAGE.write_text(
        f'{before}{_BEGIN}\n{table}\n{_END}{after}', encoding='utf-8'
    )


def table_of(results: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table; parts that were not run say so."""
    lines = ['| part | shows | result |', '| --- | --- | --- |']
    for name, part in PARTS.items():
        result = results.get(name)
        told = 'not run' if result is None else _told(name, result)
        lines.append(f'| {part.title} (`{name}`) | {part.shows} | {told} |')
    return lines


def _told(name: str, result: Mapping[str, Any]) -> str:
    state = {True: 'passed', False: '**failed**', None: 'not run'}
    figures = result.get('figures') or {}
    said = result['said']
    if name == 'devices' and figures:
        kinds = Counter(entry['result'] for entry in figures.values())
        said = ', '.join(f'{kind}: {n}' for kind, n in sorted(kinds.items()))
    if name == 'resume' and figures:
        parts = [
            entry.get(key, {})
            for entry in figures
            for key in ('workers0', 'workers2')
        ]
        kills = sum(part.get('kills', 0) for part in parts)
        in_saves = sum(part.get('in_saves', 0) for part in parts)
        equal = sum(map(is_exact, figures))
        said = (
            f'{equal} of {len(figures)} methods end alike after {kills} '
            f'kills, {in_saves} of them in a save'
        )
    if name == 'soak' and figures:
        steady = sum(map(is_steady, figures.values()))
        most = max(entry.get('growth', 0.0) for entry in figures.values())
        steps = max(entry.get('steps', 0) for entry in figures.values())
        said = (
            f'{steady} of {len(figures)} methods steady over {steps} steps; '
            f'memory grew by {100 * most:.2f} % at most'
        )
    return f'{state[result["passed"]]}: {said}'
