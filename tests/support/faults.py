"""Faults that users put into configs, in small runs of all methods.

Each is a base of `fault_bases`, a change, and the words that a clear error
line has: the key, type, value or file that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import registry

from mmkd.cli.keys import RUN_KEYS
from tests.support.fault_bases import BASES, base
from tests.support.fault_cases import BY_HAND, DROP
from tests.support.fault_cases_of_methods import OF_METHODS

_ROOTS = [
    value
    for value in vars(registry).values()
    if isinstance(value, registry.Registry)
]


@dataclass(frozen=True)
class Fault:
    """A mistake in a config.

    Args:
        kind: of the mistake.
        base: name of the config.
        title: what was done.
        config: the faulty config.
        names: see `outcome`.
    """

    kind: str
    base: str
    title: str
    config: dict[str, Any]
    names: tuple[str, ...]


#: of the generated faults of a kind, every so many are kept
THIN = {
    'misspelt key': 5, 'misspelt type': 4, 'no prefix': 3, 'wrong prefix': 3,
}  # fmt: skip


def all_faults(folder: Path, thin: bool = True) -> list[Fault]:
    """Return every fault.

    Args:
        folder: for the files that they need.
        thin: keep some of the misspelt keys and types only; else all.
    """
    seen: set[Any] = set()
    by_kind: dict[str, list[Fault]] = {}
    for name in BASES:
        for fault in misspelt(name, folder, seen):
            by_kind.setdefault(fault.kind, []).append(fault)
    found = [
        fault
        for kind, faults in by_kind.items()
        for fault in faults[:: THIN[kind] if thin else 1]
    ]
    for name, title, path, value, names in [*BY_HAND, *OF_METHODS]:
        config = base(name, folder)
        if callable(value) and value is not DROP:
            value = value(folder)
        put(config, path, value)
        kind = title.partition(':')[0]
        found.append(Fault(kind, name, f'{title} {path}', config, names))
    return found


def misspelt(name: str, folder: Path, seen: set[Any]) -> Iterator[Fault]:
    """Return misspelt keys and types, each once for a class."""
    clean = base(name, folder)
    for path, value in walk(clean):
        if not isinstance(value, dict) or (path and path[0] not in _READ):
            continue
        owner = value.get('type', path[-1] if path else 'config')
        for key in list(value):
            if not path and key not in _READ:
                continue
            if (owner, key) in seen or key in _FREE or len(str(key)) < 4:
                continue
            if path and path[-1] in _NAMES:
                continue
            seen.add((owner, key))
            config = base(name, folder)
            at = get(config, path)
            middle = len(key) // 2
            wrong = key[:middle] + key[middle + 1 :]
            if wrong in at:
                continue
            items = [(wrong if k == key else k, v) for k, v in at.items()]
            if key == 'type':
                continue
            at.clear()
            at.update(items)
            yield Fault(
                'misspelt key',
                name,
                '.'.join(map(str, [*path, wrong])),
                config,
                (wrong, f'"{key}"', f' {key}'),
            )
        kind = value.get('type')
        if path[-1:] == ('nms',):
            continue  # read in the validation
        if not isinstance(kind, str) or ('type', kind) in seen:
            continue
        seen.add(('type', kind))
        title = '.'.join(map(str, [*path, 'type']))
        bare = kind.rpartition('.')[2]
        middle = kind.rindex(bare) + len(bare) // 2
        wrong = kind[:middle] + kind[middle + 1 :]
        config = base(name, folder)
        get(config, path)['type'] = wrong
        yield Fault('misspelt type', name, title, config, (wrong,))
        if kind.startswith('mmkd.'):
            config = base(name, folder)
            get(config, path)['type'] = bare
            yield Fault('no prefix', name, title, config, (kind,))
        elif path[-1:] and path[-1] in _OF_MMCV:
            continue
        elif not any(kind in root for root in _ROOTS):  # found there too
            config = base(name, folder)
            get(config, path)['type'] = f'mmkd.{kind}'
            yield Fault('wrong prefix', name, title, config, (kind,))


# A training reads these; other names are variables of the config.
_READ = {key for key in RUN_KEYS if not key.startswith(('test_', 'tta_'))}
_READ -= {'model_wrapper_cfg'}  # read by several processes only
# What configs name as they like, or what mmengine reads only elsewhere.
# mmdetection's "debug" is read nowhere.
_FREE = {'_scope_', 'work_dir', 'type', 'debug'}
_NAMES = {
    'aux_heads', 'custom_keys', 'default_hooks', 'dist_cfg', 'followers',
    'losses', 'meta_keys', 'metainfo', 'nms', 'taps', 'visualizer',
}  # fmt: skip
_OF_MMCV = {'norm_cfg', 'act_cfg', 'conv_cfg'}  # mmkd falls back on them


def walk(config: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Return all values with their paths."""
    yield path, config
    items: Any = ()
    if isinstance(config, dict):
        items = config.items()
    elif isinstance(config, (list, tuple)):
        items = enumerate(config)
    for key, value in items:
        yield from walk(value, (*path, key))


def get(config: Any, path: tuple) -> Any:
    """Return what is at ``path``."""
    for key in path:
        config = config[key]
    return config


def put(config: dict[str, Any], path: str, value: Any) -> None:
    """Set what is at a dotted path, or drop it."""
    *outer, last = [int(k) if k.isdigit() else k for k in path.split('.')]
    for key in outer:
        config = config[key]
    if value is DROP:
        del config[last]
    else:
        config[last] = value
