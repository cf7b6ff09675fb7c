"""What pruning costs and saves: accuracy, multiply-adds, time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from mmkd.checkpoints.verify import random_inputs
from mmkd.evaluation.features import frozen_network
from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.cost import count_flops, cpu_times
from mmkd.pruning.compaction.forward import choose_forward
from mmkd.pruning.compaction.modules import convolutions
from mmkd.pruning.export import export_compact
from mmkd.pruning.standalone_loader import load
from mmkd.utils.modes import evaluating

SUFFIX = '_pruning.json'


def measure_pruned(
    config: Config,
    checkpoint: str | Path,
    folder: str | Path,
    *,
    rounds: int = 20,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Evaluate a run's network as masked and, if it can be, as compact.

    Args:
        config: of the run, a distiller's too; with the test data.
        checkpoint: written after the last mask, or of an unpruned run.
        folder: for the files of `export_compact`.
        rounds: of the time measurement.
        batch_size: images of the second time measurement.

    Returns:
        Plain values: ``masked`` (metrics), ``parameters``, ``flops``
        (multiply-adds of one image), ``zero_share`` (convolution -> share
        of zero filters), ``zero_weights`` (share of those of all
        convolutions); with zero filters also ``compact`` (metrics),
        ``compact_parameters``, ``compact_flops``, ``analytic_saving`` (as
        papers count), ``max_error`` of an output, and ``cpu_ms``: images
        per pass -> network -> milliseconds of a pass, one thread.
    """
    masked: Any = frozen_network(config, str(checkpoint))
    shape = _image_shape(masked, config)
    inputs = random_inputs(masked, shape)
    forward, _ = choose_forward(masked, inputs)
    weights = [conv.weight for conv in convolutions(masked).values()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    found: dict[str, Any] = dict(
        masked=evaluate(masked, config),
        parameters=sum(p.numel() for p in masked.parameters()),
        flops=count_flops(masked, inputs, forward),
        zero_share=zero_shares(masked),
        zero_weights=zeros / sum(weight.numel() for weight in weights),
    )
    if not any(found['zero_share'].values()):
        return found
    export = export_compact(
        config, checkpoint, folder, input_shape=shape, rounds=rounds
    )
    small: Any = load(folder)
    small.data_preprocessor = masked.data_preprocessor
    batch = inputs[:1].expand(batch_size, *inputs.shape[1:]).contiguous()
    several = cpu_times(dict(masked=masked, compact=small), batch, forward, 5)
    times = {'1': export.cpu_times, str(batch_size): several}
    found.update(
        compact=evaluate(small, config),
        compact_parameters=export.compaction.parameters[1],
        compact_flops=export.flops[1],
        analytic_saving=export.compaction.analytic,
        max_error=export.compaction.max_error,
        cpu_ms={
            images: {name: 1e3 * value for name, value in networks.items()}
            for images, networks in times.items()
        },
    )
    return found


def zero_shares(network: nn.Module) -> dict[str, float]:
    """Return the share of zero filters of every convolution."""
    return {
        name: float(zero_filters(conv).double().mean())
        for name, conv in convolutions(network).items()
    }


def evaluate(network: Any, config: Config) -> dict[str, float]:
    """Return the metrics of a network on the test data of ``config``.

    It is run in eval mode and gets its own modes back.

    Raises:
        KeyError: the config has no test data or no metric.
    """
    for key in ('test_dataloader', 'test_evaluator'):
        if config.get(key) is None:
            raise KeyError(
                f'the config has no {key}: add it, e.g. {key} = '
                f'{key.replace("test", "val")}'
            )
    scope = config.get('default_scope') or 'mmengine'
    with DefaultScope.overwrite_default_scope(scope):
        loader = Runner.build_dataloader(config.test_dataloader, seed=0)
        evaluator = Evaluator(config.test_evaluator)
        evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
        with evaluating(network):
            for batch in loader:
                samples = network.test_step(batch)
                evaluator.process(data_samples=samples, data_batch=batch)
        metrics: Mapping[str, Any] = evaluator.evaluate(len(loader.dataset))
    return {name: float(value) for name, value in metrics.items()}


def read_measurements(folder: str | Path) -> dict[str, list[dict[str, Any]]]:
    """Read what ``tools/pruning_results.py measure`` wrote.

    Args:
        folder: holds ``<config>/seed<k>_pruning.json``.

    Returns:
        Name of the config -> measurements, seed by seed.

    Raises:
        FileNotFoundError: there is none.
    """
    found = {
        path.name: [
            json.loads(file.read_text())
            for file in sorted(path.glob(f'seed*{SUFFIX}'))
        ]
        for path in sorted(Path(folder).glob('*/'))
    }
    found = {name: runs for name, runs in found.items() if runs}
    if not found:
        raise FileNotFoundError(
            f'"{folder}" has no */seed*{SUFFIX}: first run '
            f'tools/pruning_results.py measure {folder}'
        )
    return found


def _image_shape(network: Any, config: Config) -> tuple[int, ...] | None:
    """Return (C, H, W) of the first test image as the network sees it."""
    if config.get('test_dataloader') is None:
        return None
    scope = config.get('default_scope') or 'mmengine'
    with DefaultScope.overwrite_default_scope(scope):
        loader = Runner.build_dataloader(config.test_dataloader, seed=0)
    inputs: Tensor = network.data_preprocessor(next(iter(loader)))['inputs']
    return tuple(inputs.shape[1:])
