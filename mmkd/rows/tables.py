"""Tables of README.md: a line and a column name a config and its number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mmkd.rows.entries import Entries, Row, check_keys, titled

Metrics = dict[str, dict[str, float]]
CELL_KEYS = ('config', 'text', 'metric', 'empty')
TABLE_KEYS = (
    'lines', 'columns', 'corner', 'each', 'without', 'with', 'numbers',
    *CELL_KEYS,
)  # fmt: skip


def markdown(
    table: dict[str, Any],
    entries: Entries,
    exists: Callable[[str], bool],
) -> tuple[str, Metrics]:
    """Return one table, and the metrics of the configs that it names.

    Args:
        table: an entry of ``tables``.
        entries: what ``<line.field>`` and ``<column.field>`` look into.
        exists: whether there is a config of this name.

    Raises:
        KeyError: there are numbers of something that is no line or column.
        ValueError: a config has two different numbers.
    """
    check_keys(table, 'tables', TABLE_KEYS, required=('lines', 'columns'))
    lines = side(table['lines'], entries)
    columns = side(table['columns'], entries)
    numbers = read_numbers(table.get('numbers', ''))
    for key in {key for pair in numbers for key in pair}:
        if key not in lines and key not in columns:
            raise KeyError(
                f'`numbers` has {key!r}, which is no line and no column of '
                'its table; rename or add it'
            )
    metrics: Metrics = {}
    titles = [table.get('corner', ''), *(f['title'] for f in columns.values())]
    text = [titles, ['---'] * len(titles)]
    for line, line_fields in lines.items():
        text.append([line_fields['title']])
        for column, column_fields in columns.items():
            given = {**table, **line_fields, **column_fields}
            number = numbers.get((line, column)) or numbers.get((column, line))
            links: dict[str, str] = {}  # config -> text; keeps the order
            for row in entries.rows(table):
                row.update(line=line, column=column)
                config = entries.fill(given.get('config', ''), row)
                if exists(config):
                    shown = entries.fill(given.get('text', '-'), row)
                    links[config] = number or shown
            if number and 'metric' in given:
                for config in links:
                    add_metric(metrics, config, given['metric'], number)
            shown = ', '.join(f'[{links[c]}]({c}.py)' for c in links)
            text[-1].append(shown or number or given.get('empty', ''))
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in text), metrics


def side(given: Any, entries: Entries) -> dict[str, dict[str, str]]:
    """Lines or columns: a mapping, or keys of ``entries`` and their titles."""
    if isinstance(given, dict):
        fields = {key: titled(value) for key, value in given.items()}
        for key, value in fields.items():
            check_keys(value, key, ('title', *CELL_KEYS), required=['title'])
        return fields
    found: dict[str, Row] = {}
    for key in entries.keys(given):
        found[key] = dict(title=entries.look_up('key.title', dict(key=key)))
    return found


def read_numbers(text: str) -> dict[tuple[str, str], str]:
    """Read blocks of a head (a word, columns) and rows (a key, numbers).

    Two spaces part; ``-`` is no number; an empty line parts blocks.

    Returns:
        (row, column) -> number, as it is written.
    """
    numbers = {}
    head: list[str] = []
    for line in text.split('\n'):
        key, *cells = re.split(r'\s{2,}', line.strip())
        if not key:
            head = []
        elif not head:
            head = cells
        elif len(cells) != len(head):
            raise ValueError(
                f'`numbers` has {len(cells)} numbers for {len(head)} columns '
                f'in {line!r}; write - where there is none, and two spaces '
                'between'
            )
        else:
            for column, number in zip(head, cells, strict=True):
                if number != '-':
                    numbers[key, column] = number
    return numbers


def add_metric(metrics: Metrics, config: str, name: str, number: str) -> None:
    """Add a number, without the deviation that may follow it."""
    found = re.match(r'\d+(\.\d+)?', number)
    if not found:
        return
    value = float(found[0])
    kept = metrics.setdefault(config, {}).setdefault(name, value)
    if kept != value:
        raise ValueError(
            f'{config} has two numbers, {kept} and {value}; correct one'
        )


def replace_marked(text: str, name: str, content: str) -> str:
    """Put ``content`` between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    pattern = re.compile(rf'(<!-- {name} -->\n).*?(<!-- /{name} -->)', re.S)
    if not pattern.search(text):
        raise ValueError(
            f'README.md has no markers <!-- {name} --> and <!-- /{name} -->; '
            'add them where the table shall stand'
        )
    return pattern.sub(lambda match: match[1] + content + match[2], text)
