"""From the checkpoint of a pruned run to a compact network on disk."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmkd.checkpoints.onnx import export_onnx
from mmkd.checkpoints.verify import random_inputs
from mmkd.pruning.compact_config import compact_config
from mmkd.pruning.compact_files import check_compact, write_compact
from mmkd.pruning.compaction.compactor import CompactionReport, compact
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.cost import Runnable, count_flops, cpu_times
from mmkd.pruning.compaction.forward import (
    Forward,
    choose_forward,
    outputs_of,
)
from mmkd.pruning.compaction.modules import convolutions
from mmkd.pruning.compaction.verify import relative_error
from mmkd.pruning.masked_run import MaskedRun, read_run, recalibrate
from mmkd.pruning.plain import as_json, as_plain
from mmkd.pruning.promises import missing_zeros
from mmkd.version import __version__


@dataclass(frozen=True)
class ExportOptions:
    """How `export_compact` reads, compacts, checks and measures.

    Args:
        input_shape: (C, H, W); defaults as in `export_student`.
        residual: see `compact`.
        divisor: see `compact`.
        trace: see `compact`.
        allow_tiny: see `compact`.
        onnx: write ONNX too.
        recalibrate: number of training batches on which the statistics of
            batch norms are estimated anew first. This is another model than
            that of the checkpoint.
        rounds: of the time measurement; 0 leaves it out.
        allow_pickle: see `read_checkpoint`.
        peer: which peer of a cohort; defaults to the deployed one.

    Raises:
        ValueError: a number is negative.
    """

    input_shape: Sequence[int] | None = None
    residual: str = 'keep'
    divisor: int = 1
    trace: bool = True
    allow_tiny: bool = False
    onnx: bool = False
    recalibrate: int = 0
    rounds: int = 20
    allow_pickle: bool = False
    peer: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers that no other function checks."""
        for name in ('recalibrate', 'rounds'):
            if getattr(self, name) < 0:
                raise ValueError(
                    f'{name}={getattr(self, name)} must be at least 0; 0 '
                    'leaves that step out'
                )


@dataclass(frozen=True)
class CompactExport:
    """What `export_compact` wrote and measured.

    Args:
        folder: of ``compact.pth``, ``plan.json``, ``loader.py``,
            ``compact_config.py``, ``report.json`` and, if asked for,
            ``compact.onnx``.
        compaction: what was removed.
        input_shape: (C, H, W) of the numbers below.
        flops: multiply-adds for one image, masked and compact.
        cpu_times: seconds for one image with one thread: dense, masked and
            compact.
        seconds: that `compact` took, comparison included.
        onnx_deviation: see `export_onnx`.
        recalibrated: how many batches gave new statistics to the batch
            norms; 0 if they are those of the checkpoint.
        recalibration_change: largest relative difference of an output that
            the new statistics made.
        missing: see `missing_zeros`.
    """

    folder: Path
    compaction: CompactionReport
    input_shape: tuple[int, ...]
    flops: tuple[float, float]
    cpu_times: dict[str, float]
    seconds: float
    onnx_deviation: float | None = None
    recalibrated: int = 0
    recalibration_change: float | None = None
    missing: dict[str, tuple[int, int]] = field(default_factory=dict)


def export_compact(
    config: Config,
    checkpoint: str | Path,
    out: str | Path,
    **options: Any,
) -> CompactExport:
    """Write the deployed network of a run without its zero filters.

    Nothing is written unless the compact network gives the outputs of the
    masked one, and the files give those of the compact one, bit for bit.

    Args:
        config: of a distiller or of a network.
        checkpoint: of the distiller or of the network, masked.
        out: folder for the files.
        options: fields of `ExportOptions`.

    Raises:
        TypeError: an option is unknown.
        ValueError: the checkpoint does not fit or has no zero filters, or
            an option is out of range.
        CompactionError: outputs differ.
    """
    given = ExportOptions(**options)
    run = read_run(config, checkpoint, given.peer, given.allow_pickle)
    network = run.network
    inputs = random_inputs(network, given.input_shape)
    shape = tuple(inputs.shape[1:])
    forward, _ = choose_forward(network, inputs)
    change = None
    if given.recalibrate:
        wanted = outputs_of(network, inputs, forward)
        recalibrate(network, config, given.recalibrate)
        found = outputs_of(network, inputs, forward)
        change = max(map(relative_error, wanted, found))

    start = time.perf_counter()
    small, plan, report = compact(
        network,
        inputs,
        residual=given.residual,
        divisor=given.divisor,
        trace=given.trace,
        allow_tiny=given.allow_tiny,
    )
    seconds = time.perf_counter() - start
    export = CompactExport(
        folder=Path(out),
        compaction=report,
        input_shape=shape,
        flops=(
            count_flops(network, inputs, forward),
            count_flops(small, inputs, forward),
        ),
        cpu_times=_times(network, small, inputs, forward, given.rounds),
        seconds=seconds,
        recalibrated=given.recalibrate,
        recalibration_change=change,
        missing=missing_zeros(network, config, run.peer, shape),
    )
    with TemporaryDirectory() as partial:
        files = Path(partial)
        write_compact(small, plan, _meta(run, checkpoint, export), files)
        check_compact(files, small, inputs, forward)
        own_config = compact_config(config, run.architecture)
        own_config.dump(files / 'compact_config.py')
        if given.onnx:
            deviation = export_onnx(
                Runnable(small, forward).eval(), inputs, files / 'compact.onnx'
            )
            export = replace(export, onnx_deviation=deviation)
        facts = dict(asdict(export), folder=str(out))
        (files / 'report.json').write_text(as_json(facts))
        export.folder.mkdir(parents=True, exist_ok=True)
        for file in files.iterdir():
            shutil.copy(file, export.folder / file.name)
    return export


def _meta(
    run: MaskedRun, checkpoint: str | Path, export: CompactExport
) -> dict[str, Any]:
    """Return what ``compact.pth`` tells of its origin."""
    meta = dict(
        mmkd_version=__version__,
        config=dict(model=run.architecture, default_scope=run.scope),
        source_checkpoint=Path(checkpoint).name,
        max_relative_error=export.compaction.max_error,
        bn_recalibrated_on_batches=export.recalibrated,
    )
    if run.dataset_meta is not None:
        meta['dataset_meta'] = as_plain(run.dataset_meta)
    return meta


@torch.no_grad()
def _times(
    masked: nn.Module,
    small: nn.Module,
    inputs: Tensor,
    forward: Forward,
    rounds: int,
) -> dict[str, float]:
    """Return seconds for one image: dense, masked and compact."""
    if not rounds:
        return {}
    dense = copy.deepcopy(masked)
    for conv in convolutions(dense).values():
        if not conv.transposed:
            conv.weight.data[zero_filters(conv)] = 0.01
    networks = dict(dense=dense, masked=masked, compact=small)
    return cpu_times(networks, inputs[:1], forward, rounds)
