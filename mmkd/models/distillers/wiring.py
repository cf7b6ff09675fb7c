"""Names of a config: which taps and auxiliary heads a network must give."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmkd.utils.settings import require_dict

HeadConfigs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Wiring:
    """What one network gives by name.

    Args:
        paths: name of a tap -> module path or paths (see `mmkd.taps`).
        heads: name of an auxiliary head -> its config, inputs before
            readers.
        wanted: names that losses or exchanges read.
    """

    paths: Mapping[str, Any]
    heads: HeadConfigs
    wanted: tuple[str, ...]


def head_inputs(config: Mapping[str, Any]) -> list[str]:
    """Return the names that an auxiliary head's ``on`` lists."""
    on = config['on']
    return [on] if isinstance(on, str) else list(on)


def names_needed(
    wanted: Sequence[str], heads: HeadConfigs
) -> tuple[list[str], list[str]]:
    """Split ``wanted`` into taps and auxiliary heads, with what these need.

    Returns:
        Tap names and auxiliary head names, each in order of first use.

    Raises:
        ValueError: auxiliary heads read each other.
    """
    taps: list[str] = []
    found: list[str] = []

    def visit(name: str, readers: tuple[str, ...]) -> None:
        if name in readers:
            raise ValueError(
                f'aux_heads read each other in a circle: '
                f'{" <- ".join([*readers, name])}; correct their "on"'
            )
        if name not in heads:
            if name not in taps:
                taps.append(name)
        elif name not in found:
            for source in head_inputs(heads[name]):
                visit(source, (*readers, name))
            found.append(name)

    for name in wanted:
        visit(name, ())
    return taps, found


def check_names(
    wanted: Mapping[str, str], taps: Mapping[str, Any], heads: HeadConfigs
) -> None:
    """Refuse what cannot be read by name.

    Args:
        wanted: name -> who reads it, as the beginning of a message.
        taps: the config's ``taps``.
        heads: the config's ``aux_heads``.

    Raises:
        KeyError: nothing gives a name, or a head has no ``on``.
        ValueError: a name stands twice, or heads read each other.
    """
    for name, config in heads.items():
        require_dict(f'aux_heads.{name}', config, "type=..., on='<a tap>'")
        if 'on' not in config:
            raise KeyError(
                f'aux_heads.{name} has no key "on": name the tap it reads'
            )
        on = config['on']
        names = on if isinstance(on, (list, tuple)) else [on]
        if not names or not all(isinstance(n, str) for n in names):
            raise TypeError(
                f'aux_heads.{name}.on={on!r} must be the name of a tap or '
                'head, or a list of names'
            )
        if name in taps:
            raise ValueError(
                f'"{name}" is both a tap and an auxiliary head: rename one'
            )
    inputs = names_needed(list(heads), heads)[0]
    readers = {name: f'aux_heads read "{name}"' for name in inputs}
    known = [*taps, *heads]
    for name, reader in {**wanted, **readers}.items():
        if name not in known:
            raise KeyError(
                f'{reader}, which is neither in taps nor in aux_heads; '
                f'known: {", ".join(known) or "none"}; correct this "on"'
            )


def refuse_idle(
    heads: Collection[str], used: Collection[str], reader: str
) -> None:
    """Refuse auxiliary heads that are not in ``used``.

    Raises:
        ValueError: there is one; ``reader`` says what should read it.
    """
    idle = sorted(set(heads) - set(used))
    if idle:
        raise ValueError(
            f'aux_heads.{idle[0]} is read by no {reader}: remove it, or '
            'name it in the "on" of one'
        )


def wire_sides(
    taps: Mapping[str, Any],
    heads: HeadConfigs,
    wanted: Mapping[str, Sequence[str]],
) -> dict[str, Wiring]:
    """Return what the student and every teacher must give.

    A tap that nobody reads is recorded in the student, for the summary.

    Args:
        taps: name -> path, or ``dict(student=path, teacher=path)``.
        heads: the config's ``aux_heads``.
        wanted: label -> names that losses read there, ``student`` first.

    Raises:
        KeyError, ValueError: a name that nothing gives, or a head that
            nothing reads.
    """
    names = [name for read in wanted.values() for name in read]
    check_names({n: f'losses read "{n}"' for n in names}, taps, heads)
    sides = _paths_by_side(taps)
    of_teachers = [n for k, r in wanted.items() if k != 'student' for n in r]
    only_theirs = set(names_needed(of_teachers, heads)[0])
    wirings, used = {}, []
    for label, read in wanted.items():
        side = 'student' if label == 'student' else 'teacher'
        tap_names, head_names = names_needed(read, heads)
        paths = {n: path[side] for n, path in sides.items() if side in path}
        for name in tap_names:
            if name not in paths:
                raise KeyError(
                    f'a loss reads "{name}" of the {side}, but taps.{name} '
                    f'gives no path there: add {side}="module.path" to it'
                )
        if side == 'student':
            chosen = [
                n for n in paths if n in tap_names or n not in only_theirs
            ]
        else:
            chosen = tap_names
        wirings[label] = Wiring(
            {n: paths[n] for n in chosen},
            {n: heads[n] for n in head_names},
            tuple(dict.fromkeys(read)),
        )
        used += head_names
    refuse_idle(heads, used, 'loss')
    return wirings


def _paths_by_side(taps: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return tap name -> ``dict(student=path, teacher=path)``."""
    sides = {}
    for name, path in taps.items():
        if not isinstance(path, Mapping):
            path = dict(student=path, teacher=path)
        if not path or not set(path) <= {'student', 'teacher'}:
            raise KeyError(
                f'taps.{name}={dict(path)}: write dict(student=..., '
                'teacher=...), or one path for both'
            )
        sides[name] = path
    return sides


def wire_peers(
    taps: Mapping[str, Any],
    heads: Mapping[str, Any],
    wanted: Mapping[str, str],
    count: int,
) -> list[Wiring]:
    """Return what every peer must give.

    Args:
        taps: name -> path, or ``dict(peer0=path, peer1=path, ...)``.
        heads: the config's ``aux_heads``, in the same way.
        wanted: name -> who reads it, as the beginning of a message.
        count: number of peers.

    Raises:
        KeyError, ValueError: a name that nothing gives, or a head that
            nothing reads.
    """
    own = [_of_peer('aux_heads', heads, k, count) for k in range(count)]
    needed: dict[str, None] = {}
    for configs in own:
        check_names(wanted, taps, configs)
        needed |= dict.fromkeys(names_needed(list(wanted), configs)[1])
    refuse_idle(heads, needed, 'exchange')
    return [
        Wiring(
            _of_peer('taps', taps, index, count),
            {name: configs[name] for name in needed},
            tuple(wanted),
        )
        for index, configs in enumerate(own)
    ]


def _of_peer(
    key: str, configs: Mapping[str, Any], index: int, count: int
) -> dict[str, Any]:
    """Return the entries of ``configs`` that hold for peer ``index``.

    An entry ``dict(peer0=..., peer1=...)`` says something else for each.

    Raises:
        KeyError: such an entry does not name every peer.
    """
    chosen = {}
    for name, value in configs.items():
        if isinstance(value, Mapping) and any(
            str(key).startswith('peer') for key in value
        ):
            wanted = [f'peer{k}' for k in range(count)]
            if sorted(value) != sorted(wanted):
                raise KeyError(
                    f'{key}.{name} names {", ".join(sorted(value))}; the '
                    f'cohort has {count} peers: name {wanted[0]} to '
                    f'{wanted[-1]}, or give one entry for all'
                )
            value = value[f'peer{index}']
        chosen[name] = value
    return chosen
