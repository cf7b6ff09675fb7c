"""What the key ``stages`` of a config says, checked before anything runs."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmkd.cli.config import read_config
from mmkd.cli.keys import check_keys, offer
from mmkd.cli.values import check_values
from mmkd.stages.references import PREFIX, references, stage_of

TRAIN = 'train'
# What another stage than a training may be given beside name, run, of and
# checkpoint: options of `export_student`, `export_compact`, `export_onnx`.
OPTIONS = {
    'export': ('input_shape', 'peer', 'allow_pickle'),
    'compact': (
        'input_shape', 'residual', 'divisor', 'trace', 'allow_tiny',
        'recalibrate', 'rounds', 'peer', 'allow_pickle',
    ),
    'onnx': ('input_shape', 'peer', 'allow_pickle'),
}  # fmt: skip
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')


@dataclass(frozen=True)
class Stage:
    """One entry of ``stages``.

    Args:
        name: of the stage and of its folder.
        run: ``'train'``, ``'export'``, ``'compact'`` or ``'onnx'``.
        config: of a training, before references are replaced; None where
            an earlier stage writes it.
        given: what the entry says beside ``name``, ``run`` and ``config``:
            changes to the config of a training, else options.
        config_from: the reference to the config that an earlier stage
            writes.
    """

    name: str
    run: str
    config: Config | None
    given: dict[str, Any] = field(default_factory=dict)
    config_from: str | None = None

    @property
    def uses(self) -> set[str]:
        """Names of the stages that this one reads."""
        named = [*references(self.given), *references(self.config_from)]
        if self.config is not None:
            named += references(self.config._cfg_dict)
        found = {stage_of(reference) for _, reference in named}
        return found | ({self.given['of']} if self.run != TRAIN else set())


def read_stages(config: Config) -> list[Stage]:
    """Read and check ``stages``.

    A training has a ``config`` (a path from the folder of the file, as
    ``_base_``, or of a file it inherits from, or ``package::path``) or
    takes the file's own keys; all other keys of the entry are changes to
    it. Its files, ``stage:NAME``, come from earlier stages.

    Raises:
        FileNotFoundError: a config does not exist.
        KeyError, TypeError, ValueError: what else does not fit.
    """
    entries = config.stages
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise TypeError(
            f'stages={entries!r} must be a list of dicts, one for each stage'
        )
    if not entries:
        raise ValueError('stages=[] is empty: name a stage, or remove it')
    stages: list[Stage] = []
    for index, entry in enumerate(entries):
        where = f'stages[{index}]'
        if not isinstance(entry, Mapping):
            raise TypeError(f'{where}={entry!r} must be a dict')
        known = [stage.name for stage in stages]
        name = _name(entry, where, known)
        stage = _stage(config, name, copy.deepcopy(dict(entry)))
        _check_references(stage, known, [_own(e) for e in entries])
        stages.append(stage)
    return stages


def _own(entry: Any) -> Any:
    return entry.get('name') if isinstance(entry, Mapping) else None


def _name(entry: Mapping[str, Any], where: str, known: list[str]) -> str:
    name = entry.get('name')
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f'{where}.name={name!r} must be the name of a folder: letters, '
            'digits, "_", "-" and "."'
        )
    if name in known:
        raise ValueError(
            f'{where}.name="{name}" is the name of an earlier stage too: give '
            'another one'
        )
    return name


def _stage(whole: Config, name: str, entry: dict[str, Any]) -> Stage:
    where = f'stage "{entry.pop("name")}"'
    run = entry.pop('run', TRAIN)
    if run == TRAIN:
        return _training(whole, name, where, entry)
    if run not in OPTIONS:
        kinds = [TRAIN, *OPTIONS]
        raise ValueError(
            f'{where}: run={run!r} is none of {", ".join(kinds)}'
            f'{offer(str(run), kinds)}'
        )
    if 'of' not in entry:
        raise KeyError(
            f'{where}: run="{run}" needs of="NAME", the earlier stage whose '
            'network it takes'
        )
    for key in entry:
        known = ('of', 'checkpoint', *OPTIONS[run])
        if key not in known:
            raise KeyError(
                f'{where}: run="{run}" has no option "{key}"'
                f'{offer(key, known)}; it knows {", ".join(known)}'
            )
    return Stage(name, run, None, entry)


def _training(
    whole: Config, name: str, where: str, changes: dict[str, Any]
) -> Stage:
    source = changes.pop('config', None)
    if source is None:
        config = copy.deepcopy(whole)
        config.pop('stages')
        if 'model' not in config and 'model' not in changes:
            raise KeyError(
                f'{where} has no config, and the file has no model: give '
                'config="...", or model, data and schedule'
            )
    elif not isinstance(source, str):
        raise TypeError(f'{where}: config={source!r} must be a path')
    elif source.startswith(PREFIX):
        return Stage(name, TRAIN, None, changes, source)
    else:
        config = read_config(_beside(source, whole.filename), stages=True)
        if 'stages' in config:
            raise ValueError(
                f'{where}: config="{source}" has stages of its own: name '
                'these one by one here'
            )
    return Stage(name, TRAIN, changed(config, changes, where))


def changed(config: Config, changes: Mapping[str, Any], where: str) -> Config:
    """Merge the keys of a stage into its config, and check what comes out.

    Raises:
        KeyError, TypeError, ValueError: as `load_run_config`, with the name
            of the stage.
    """
    try:
        config.merge_from_dict(dict(changes))
        check_values(config)
        check_keys(config)
    except (KeyError, TypeError, ValueError) as error:
        raise type(error)(f'{where}: {error.args[0]}') from error
    return config


def _beside(name: str, file: str | None) -> str:
    """Path of a config that ``file``, or a config it inherits from, names."""
    if '::' in name or file is None:
        return name
    found = (path for path in _beside_each(name, file) if Path(path).exists())
    return next(found, str(Path(file).parent / name))


def _beside_each(name: str, file: str) -> Iterator[str]:
    yield str(Path(file).parent / name)
    for base in Config._get_base_files(file):
        path, _ = Config._get_cfg_path(base, file)
        yield from _beside_each(name, path)


def _check_references(stage: Stage, known: list[str], names: list) -> None:
    for used in sorted(stage.uses):
        if used in known:
            continue
        if used in names:
            raise ValueError(
                f'stage "{stage.name}" reads stage "{used}", which does not '
                'come before it: change their order'
            )
        raise KeyError(
            f'stage "{stage.name}" reads stage "{used}", which does not '
            f'exist{offer(used, known)}; before it there are '
            f'{", ".join(known) or "none"}'
        )
