"""Files of a compact network: weights, plan, loader, report."""

from __future__ import annotations

import copy
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmkd.checkpoints.write import write_weights
from mmkd.networks import build_network, deployed_peer, load_network_weights
from mmkd.pruning import standalone_loader
from mmkd.pruning.compact_config import compact_config
from mmkd.pruning.compaction.compactor import CompactionReport, compact
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.cost import Runnable, count_flops, cpu_times
from mmkd.pruning.compaction.forward import choose_forward, tensors
from mmkd.pruning.compaction.modules import convolutions
from mmkd.pruning.compaction.plan import Plan
from mmkd.pruning.compaction.verify import CompactionError, relative_error
from mmkd.pruning.plain import as_json, as_plain
from mmkd.pruning.promises import missing_zeros
from mmkd.pruning.recalibration import recalibrate_batch_norm
from mmkd.utils.checkpoints import read_checkpoint
from mmkd.utils.export import deployed_network
from mmkd.utils.onnx_export import export_onnx
from mmkd.utils.raw_outputs import random_inputs
from mmkd.version import __version__


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
    *,
    input_shape: Sequence[int] | None = None,
    residual: str = 'keep',
    divisor: int = 1,
    trace: bool = True,
    allow_tiny: bool = False,
    onnx: bool = False,
    recalibrate: int = 0,
    rounds: int = 20,
    allow_pickle: bool = False,
    peer: int | None = None,
) -> CompactExport:
    """Write the deployed network of a run without its zero filters.

    Nothing is written unless the compact network gives the outputs of the
    masked one, and the files give those of the compact one, bit for bit.

    Args:
        config: of a distiller or of a network.
        checkpoint: of the distiller or of the network, masked.
        out: folder for the files.
        input_shape: (C, H, W); defaults as in `export_student`.
        residual: see `compact`; so are ``divisor``, ``trace``,
            ``allow_tiny``.
        onnx: write ONNX too.
        recalibrate: number of training batches on which the statistics of
            batch norms are estimated anew first. This is another model than
            that of the checkpoint.
        rounds: of the time measurement; 0 leaves it out.
        allow_pickle: see `read_checkpoint`.
        peer: which peer of a cohort; defaults to the deployed one.

    Raises:
        ValueError: the checkpoint does not fit or has no zero filters.
        CompactionError: outputs differ.
    """
    saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
    state = saved['state_dict']
    if 'cohort' in config.model and peer is None:
        peer = deployed_peer(state, checkpoint)
    spec = deployed_network(config, peer)
    masked = build_network(spec)
    load_network_weights(masked, checkpoint, peer=peer, state=state)
    masked.eval()
    inputs = random_inputs(masked, input_shape)
    forward, _ = choose_forward(masked, inputs)
    change = None
    if recalibrate:
        wanted = _outputs(masked, inputs, forward)
        _recalibrate(masked, config, recalibrate)
        change = _largest_error(wanted, _outputs(masked, inputs, forward))

    start = time.perf_counter()
    small, plan, report = compact(
        masked,
        inputs,
        residual=residual,
        divisor=divisor,
        trace=trace,
        allow_tiny=allow_tiny,
    )
    seconds = time.perf_counter() - start
    architecture = as_plain(spec)
    meta = dict(
        mmkd_version=__version__,
        pruning_plan=plan,
        config=dict(
            model=architecture,
            default_scope=config.get('default_scope') or spec['_scope_'],
        ),
        dtype=str(next(small.parameters()).dtype).removeprefix('torch.'),
        source_checkpoint=Path(checkpoint).name,
        max_relative_error=report.max_error,
        bn_recalibrated_on_batches=recalibrate,
    )
    dataset_meta = (saved.get('meta') or {}).get('dataset_meta')
    if dataset_meta is not None:
        meta['dataset_meta'] = as_plain(dataset_meta)
    folder = Path(out)
    with TemporaryDirectory() as partial:
        files = Path(partial)
        write_compact(small, plan, meta, files)
        compact_config(config, architecture).dump(files / 'compact_config.py')
        _check_files(files, small, inputs, forward)
        deviation = None
        if onnx:
            deviation = export_onnx(
                Runnable(small, forward).eval(), inputs, files / 'compact.onnx'
            )
        networks = dict(dense=_dense(masked), masked=masked, compact=small)
        export = CompactExport(
            folder=folder,
            compaction=report,
            input_shape=tuple(inputs.shape[1:]),
            flops=(
                count_flops(masked, inputs, forward),
                count_flops(small, inputs, forward),
            ),
            cpu_times=cpu_times(networks, inputs[:1], forward, rounds)
            if rounds
            else {},
            seconds=seconds,
            onnx_deviation=deviation,
            recalibrated=recalibrate,
            recalibration_change=change,
            missing=missing_zeros(masked, config, peer, inputs.shape[1:]),
        )
        facts = dict(asdict(export), folder=str(folder))
        (files / 'report.json').write_text(as_json(facts))
        folder.mkdir(parents=True, exist_ok=True)
        for file in files.iterdir():
            shutil.copy(file, folder / file.name)
    return export


def write_compact(
    network: nn.Module, plan: Plan, meta: Mapping[str, Any], folder: Path
) -> None:
    """Write ``compact.pth``, ``plan.json`` and ``loader.py``.

    Args:
        network: the compact one.
        plan: that it was cut with.
        meta: goes into ``compact.pth``; plain types.
        folder: exists.
    """
    state = network.state_dict()
    plain = OrderedDict(
        (key, value.detach().cpu().clone()) for key, value in state.items()
    )
    # Versions of the modules: without them, old key names are converted.
    plain._metadata = state._metadata  # type: ignore[attr-defined]
    write_weights(folder / 'compact.pth', plain, meta)
    (folder / 'plan.json').write_text(as_json(plan))
    shutil.copy(standalone_loader.__file__, folder / 'loader.py')


def _check_files(
    folder: Path,
    network: nn.Module,
    inputs: Tensor,
    forward: Callable[[nn.Module, Tensor], Any],
) -> None:
    loaded = standalone_loader.load(folder)
    wanted = _outputs(network, inputs, forward)
    found = _outputs(loaded, inputs, forward)
    for index, (one, two) in enumerate(zip(wanted, found, strict=True)):
        if not torch.equal(one, two):
            raise CompactionError(
                f'the written network differs in output {index} by up to '
                f'{relative_error(one, two):.3g} of its largest value; '
                'nothing was written'
            )


@torch.no_grad()
def _outputs(
    network: nn.Module,
    inputs: Tensor,
    forward: Callable[[nn.Module, Tensor], Any],
) -> list[Tensor]:
    return tensors(forward(network, inputs))


def _largest_error(wanted: list[Tensor], found: list[Tensor]) -> float:
    pairs = zip(wanted, found, strict=True)
    return max(relative_error(one, two) for one, two in pairs)


def _recalibrate(network: Any, config: Config, count: int) -> None:
    """Estimate batch norms anew on ``count`` training batches."""
    if config.get('train_dataloader') is None:
        raise ValueError(
            f'recalibrate={count} needs training data, but the config has no '
            'train_dataloader: add it, or leave --recalibrate out'
        )
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    batches = (batch for batch, _ in zip(loader, range(count), strict=False))

    def forward(batch: Any) -> None:
        data = network.data_preprocessor(batch, False)
        samples = data.get('data_samples')
        network(data['inputs'], data_samples=samples, mode='tensor')

    recalibrate_batch_norm(network, batches, forward)
    network.eval()


@torch.no_grad()
def _dense(masked: nn.Module) -> nn.Module:
    """Return a copy whose zero filters are filled, for time measurements."""
    dense = copy.deepcopy(masked)
    for conv in convolutions(dense).values():
        if not conv.transposed:
            zero = zero_filters(conv)
            conv.weight.data[zero] = 0.01
    return dense
