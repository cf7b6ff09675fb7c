"""Stages that write a trained network in another form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmkd.checkpoints.export import export_deployed
from mmkd.checkpoints.onnx import compare_onnx, export_onnx
from mmkd.checkpoints.verify import random_inputs
from mmkd.cli.config import read_config
from mmkd.deploy import load_deployed
from mmkd.pruning.export import export_compact

ONNX = 'model.onnx'


@dataclass(frozen=True)
class Source:
    """A network of an earlier stage.

    Args:
        name: of the stage.
        config: of the network, a distiller or a cohort.
        checkpoint: of the network or of the run.
        origin: the network that this one was made of, without training.
    """

    name: str
    config: Config
    checkpoint: Path
    origin: Source | None = None

    @property
    def origins(self) -> list[Source]:
        """What the network was made of, the nearest first."""
        if self.origin is None:
            return []
        return [self.origin, *self.origin.origins]


@dataclass(frozen=True)
class Written:
    """What an export gave.

    Args:
        source: the network in its new form, for later stages.
        facts: for the summary.
    """

    source: Source
    facts: dict[str, Any]


def write_plain(
    name: str, source: Source, folder: Path, **options: Any
) -> Written:
    """Write ``student.pth``; see `export_student`."""
    reports = export_deployed(
        source.config, source.checkpoint, folder / 'student.pth', **options
    )
    facts = dict(
        parameters=reports[0].num_parameters,
        compared=f'equal to {source.name}',
    )
    made = Source(name, source.config, reports[0].path, source)
    return Written(made, facts)


def write_compact(
    name: str, source: Source, folder: Path, **options: Any
) -> Written:
    """Write the network without its zero filters; see `export_compact`."""
    options.setdefault('rounds', 0)
    export = export_compact(
        source.config, source.checkpoint, folder, **options
    )
    report = export.compaction
    facts = dict(
        parameters=report.parameters,
        flops=export.flops,
        compared=f'{report.max_error:.1e} from {source.name}',
    )
    made = compact_source(name, source, folder)
    return Written(made, facts)


def compact_source(name: str, source: Source, folder: Path) -> Source:
    """Return the network that `write_compact` wrote."""
    config = read_config(str(folder / 'compact_config.py'))
    return Source(name, config, folder / 'compact.pth', source)


def write_onnx(
    name: str,
    source: Source,
    folder: Path,
    input_shape: Sequence[int] | None = None,
    **options: Any,
) -> Written:
    """Write ``model.onnx`` and compare it with all that it was made of.

    Facts are the largest differences of an output, relative to its largest
    value: from the network that was written, from the one that this was
    compacted from, and so on.

    Raises:
        ValueError: see `export_onnx`.
    """
    path = folder / ONNX
    given = load_deployed(source.config, source.checkpoint, **options)
    inputs = random_inputs(given.network, input_shape)
    deviations = {source.name: export_onnx(given.network, inputs, path)}
    for origin in source.origins:
        found = load_deployed(origin.config, origin.checkpoint, **options)
        deviations[origin.name] = compare_onnx(path, found.network, inputs)
    compared = ', '.join(f'{v:.1e} from {k}' for k, v in deviations.items())
    facts = dict(
        bytes=path.stat().st_size, deviation=deviations, compared=compared
    )
    return Written(Source(name, source.config, path, source), facts)
