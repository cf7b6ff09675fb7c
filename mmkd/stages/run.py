"""Run the stages of a config one after the other, from where they stopped."""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, init_dist, is_distributed, is_main_process
from mmengine.logging import print_log

from mmkd.cli.config import read_config
from mmkd.cli.keys import offer
from mmkd.cli.runner import start_processes
from mmkd.stages.exports import (
    ONNX,
    Source,
    Written,
    compact_source,
    write_compact,
    write_onnx,
    write_plain,
)
from mmkd.stages.plan import TRAIN, Stage, changed, read_stages
from mmkd.stages.record import (
    Record,
    digest,
    read_record,
    remove_record,
    write_record,
)
from mmkd.stages.references import (
    file_of,
    references,
    replaced,
    stage_of,
)

Train = Callable[[Config], None]
_WRITE: dict[str, Callable[..., Written]] = dict(
    export=write_plain, compact=write_compact, onnx=write_onnx
)


def run_stages(
    config: Config,
    train: Train,
    resume: bool = False,
    only: Collection[str] | None = None,
) -> dict[str, Record]:
    """Run the stages of a config.

    Each has the folder ``work_dir/NAME``; ``stage.json`` in it says that it
    is finished. A finished stage is not run again when resumed; what it was
    told and the files that it read must be the same as then.

    Args:
        config: with ``stages`` and ``work_dir``.
        train: trains a config; resumed, from its newest checkpoint.
        resume: go on where it stopped; else all stages start anew.
        only: names of the stages to run; the files that they read must be
            there.

    Returns:
        Name -> record of the stages that were run or finished before.

    Raises:
        KeyError: ``only`` names no stage.
        ValueError: a finished stage was told something else.
    """
    stages = read_stages(config)
    names = [stage.name for stage in stages]
    for name in only or ():
        if name not in names:
            raise KeyError(
                f'--stages {name}: there is no such stage{offer(name, names)};'
                f' the config has {", ".join(names)}'
            )
    _start_processes(config)
    chain = _Chain(config, stages, train)
    wanted = [s for s in stages if only is None or s.name in only]
    if not resume and is_main_process():
        for stage in wanted:
            remove_record(chain.folder(stage.name))
    barrier()
    found = {stage.name: chain.run(stage) for stage in wanted}
    print_log(f'stages\n{_summary(found)}', logger='current')
    return found


class _Chain:
    """Stages, their folders and what they gave."""

    def __init__(
        self, config: Config, stages: list[Stage], train: Train
    ) -> None:
        self.config = config
        self.root = Path(config.work_dir)
        self.stages = {stage.name: stage for stage in stages}
        self.train = train

    def folder(self, name: str) -> Path:
        return self.root / name

    def run(self, stage: Stage) -> Record:
        """Run a stage, unless it is finished."""
        folder = self.folder(stage.name)
        settings = self.settings(stage)
        record = read_record(folder)
        if record is not None and record.settings != settings:
            raise ValueError(
                f'stage "{stage.name}" ({folder}) is finished, but its '
                'settings or the files that it read are others now: remove '
                'its folder to run it again (and those of the stages that '
                'read it), or undo the change'
            )
        if record is not None:
            self.tell(f'stage "{stage.name}" is finished: {folder}')
            return record
        self.tell(f'stage "{stage.name}" starts: {folder}')
        start = time.time()
        facts: dict[str, Any] = {}
        if stage.run == TRAIN:
            self.train(self.config_of(stage))
            gc.collect()  # runners and their hooks hold each other
            output = self.last_checkpoint(stage.name)
        elif is_main_process():
            written = self.write(stage)
            output, facts = written.source.checkpoint, written.facts
        barrier()
        if is_main_process():
            seconds = round(time.time() - start, 1)
            record = Record(settings, str(output), seconds, facts)
            write_record(folder, record)
        barrier()
        record = read_record(folder)
        if record is None:
            raise FileNotFoundError(
                f'{folder} has no record of its stage: all processes must '
                'see the same work_dir'
            )
        return record

    def tell(self, text: str) -> None:
        print_log(text, logger='current')

    def settings(self, stage: Stage) -> str:
        """Digest of what a stage is told and of the files it reads."""
        told: dict[str, Any] = dict(run=stage.run, given=stage.given)
        told['config_from'] = stage.config_from
        used = [*references(stage.given), *references(stage.config_from)]
        if stage.config is not None:
            told['config'] = stage.config.to_dict()
            used += references(told['config'])
        if stage.run != TRAIN:
            used.append(('of', f'stage:{stage.given["of"]}'))
        return digest(told, [self.file(text, key) for key, text in used])

    def file(self, reference: str, key: str) -> Path:
        """Return the file that a reference means."""
        name = stage_of(reference)
        folder = self.folder(name)
        if not folder.is_dir():
            raise FileNotFoundError(
                f'{key}="{reference}": {folder} does not exist; run the '
                f'stage "{name}" first'
            )
        return file_of(reference, folder, lambda: self.output(name), key)

    def output(self, name: str) -> Path:
        """Return the result of a stage."""
        record = read_record(self.folder(name))
        if record is None:
            raise FileNotFoundError(
                f'stage "{name}" is not finished ({self.folder(name)}): run '
                'it first (--resume goes on where it stopped)'
            )
        return Path(record.output)

    def last_checkpoint(self, name: str) -> Path:
        marker = self.folder(name) / 'last_checkpoint'
        if not marker.is_file():
            raise FileNotFoundError(
                f'stage "{name}" has saved no checkpoint in '
                f'{self.folder(name)}: give default_hooks.checkpoint an '
                'interval that its training reaches'
            )
        return Path(marker.read_text().strip())

    def config_of(self, stage: Stage) -> Config:
        """Return the config of a training, with files for references."""
        if stage.config_from is not None:
            path = self.file(
                stage.config_from, f'stage "{stage.name}": config'
            )
            given = copy.deepcopy(stage.given)
            where = f'stage "{stage.name}"'
            config = changed(read_config(str(path)), given, where)
        else:
            config = copy.deepcopy(stage.config)
        keys = {text: key for key, text in references(config._cfg_dict)}
        replaced(
            config._cfg_dict, lambda text: str(self.file(text, keys[text]))
        )
        config.launcher = self.config.get('launcher', 'none')
        config.work_dir = str(self.folder(stage.name))
        # Under this name mmengine writes it into the folder.
        return Config(
            config._cfg_dict,
            cfg_text=config.text or stage.name,
            filename=f'{stage.name}.py',
        )

    def source(self, name: str, checkpoint: str | None = None) -> Source:
        """Return the network of a stage that is finished."""
        stage = self.stages[name]
        path = (
            self.output(name)
            if checkpoint is None
            else self.file(checkpoint, f'stage of "{name}": checkpoint')
        )
        if stage.run == TRAIN:
            return Source(name, self.config_of(stage), path)
        origin = self.source(stage.given['of'], stage.given.get('checkpoint'))
        if stage.run == 'compact':
            return compact_source(name, origin, self.folder(name))
        if path.name == ONNX:
            raise ValueError(
                f'stage "{name}" wrote ONNX, which is the last form of a '
                'network: name the stage that it was made of'
            )
        return Source(name, origin.config, path, origin)

    def write(self, stage: Stage) -> Written:
        """Write the network of an earlier stage in another form."""
        folder = self.folder(stage.name)
        folder.mkdir(parents=True, exist_ok=True)
        options = copy.deepcopy(stage.given)
        source = self.source(
            options.pop('of'), options.pop('checkpoint', None)
        )
        return _WRITE[stage.run](stage.name, source, folder, **options)


def _start_processes(config: Config) -> None:
    """Let all processes of a distributed run know each other."""
    start_processes(config)
    launcher = config.get('launcher', 'none')
    if launcher != 'none' and not is_distributed():
        settings = dict((config.get('env_cfg') or {}).get('dist_cfg') or {})
        settings.setdefault('backend', 'nccl')
        init_dist(launcher, **settings)


def _summary(records: dict[str, Record]) -> str:
    width = max(map(len, records), default=0)
    lines = []
    for name, record in records.items():
        compared = record.facts.get('compared')
        told = f'; outputs {compared}' if compared else ''
        lines.append(
            f'  {name.ljust(width)}  {record.output}, '
            f'{record.seconds:.0f} s{told}'
        )
    return '\n'.join(lines)
