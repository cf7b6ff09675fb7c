"""All files of a folder that its rows.yml stands for."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from mmkd.rows.entries import GENERATED, Entries, check_keys
from mmkd.rows.tables import Metrics, markdown, replace_marked

KEYS = ('collection', 'data', 'own', 'entries', 'configs', 'tables')
CONFIG_KEYS = ('name', 'each', 'without', 'with', 'body')


def folders(configs: Path) -> list[Path]:
    """Folders that have a rows.yml."""
    return sorted(path.parent for path in configs.glob('*/rows.yml'))


def changes(folder: Path) -> dict[Path, str | None]:
    """What would be written; None: deleted, as no row stands for it."""
    files = generate(folder)
    found: dict[Path, str | None] = {}
    for name, text in files.items():
        path = folder / name
        if not path.is_file() or path.read_text('utf-8') != text:
            found[path] = text
    for path in folder.glob('*.py'):
        if path.name not in files and is_generated(path):
            found[path] = None
    return dict(sorted(found.items()))


def generate(folder: Path) -> dict[str, str]:
    """Return name -> text of all files that are generated.

    Args:
        folder: has a rows.yml. Its values are read as they are written, so
            74.30 stays 74.30.

    Raises:
        ValueError, KeyError: rows.yml is not understood, or contradicts
            itself or a file; the message says where and what to do.
    """
    file = folder / 'rows.yml'
    with file.open(encoding='utf-8') as text:
        # this loader makes strings of all values
        table = yaml.load(text, yaml.BaseLoader)
    try:
        return _generate(folder, table)
    except (KeyError, ValueError) as error:
        raise type(error)(f'{file}: {error.args[0]}') from error


def _generate(folder: Path, table: dict[str, Any]) -> dict[str, str]:
    check_keys(table, 'rows.yml', KEYS, required=('collection', 'data'))
    entries = Entries(table.get('entries', {}))
    files = configs(table.get('configs', []), entries)
    by_hand = {p.name for p in folder.glob('*.py') if not is_generated(p)}
    for name in sorted(by_hand & files.keys()):
        raise ValueError(
            f'{name} is written by hand, and a row stands for it too; delete '
            'the file, or leave the row out by `without`'
        )
    names = sorted(name.removesuffix('.py') for name in by_hand | files.keys())
    metrics: Metrics = {
        name: {key: float(number) for key, number in own.items()}
        for name, own in table.get('own', {}).items()
    }

    def exists(name: str) -> bool:
        elsewhere = '/' in name and (folder / f'{name}.py').is_file()
        return elsewhere or name in names

    tables = table.get('tables', {})
    if tables:
        files['README.md'] = (folder / 'README.md').read_text('utf-8')
    for name, given in tables.items():
        text, found = markdown(given, entries, exists)
        files['README.md'] = replace_marked(
            files['README.md'], f'rows:{name}', text
        )
        for config, values in found.items():
            metrics.setdefault(config, {}).update(values)
    files['metafile.yml'] = metafile(folder.name, table, names, metrics)
    return files


def configs(given: list[dict[str, Any]], entries: Entries) -> dict[str, str]:
    """Return file name -> text of the configs."""
    files: dict[str, str] = {}
    for config in given:
        check_keys(config, 'configs', CONFIG_KEYS, required=('name', 'body'))
        for row in entries.rows(config):
            name = entries.fill(config['name'], row) + '.py'
            if name in files:
                raise ValueError(
                    f'two rows stand for {name}, the second one of '
                    f'{config["name"]}; leave one out by `without`'
                )
            files[name] = GENERATED + entries.fill(config['body'], row)
    return files


def is_generated(path: Path) -> bool:
    """Whether a file starts with the generated line."""
    return path.read_text('utf-8').startswith(GENERATED)


def metafile(
    folder: str, table: dict[str, Any], names: list[str], metrics: Metrics
) -> str:
    """Return metafile.yml: all configs, written by hand or generated."""
    collection = dict(table['collection'])
    collection['README'] = f'configs/{folder}/README.md'
    models = []
    for name in names:
        data = data_of(name, table['data'])
        values = metrics.get(name, {})
        models.append(
            {
                'Name': name,
                'In Collection': collection['Name'],
                'Metadata': {'Training Data': data['Dataset']},
                'Results': [{**data, 'Metrics': values}],
                'Config': f'configs/{folder}/{name}.py',
            }
        )
    text = yaml.safe_dump(
        dict(Collections=[collection], Models=models),
        sort_keys=False,
        allow_unicode=True,
    )
    return GENERATED + text


def data_of(name: str, patterns: dict[str, dict]) -> dict[str, str]:
    """Task and data set of a config: the first pattern that fits."""
    for pattern, data in patterns.items():
        if fnmatch(name, pattern):
            return data
    raise KeyError(
        f'no pattern of `data` fits {name}; add one with Task and Dataset'
    )
