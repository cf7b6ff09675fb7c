"""Tables, costs and times of a cascade that stops early."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmkd.checkpoints.atomic import write_file
from mmkd.checkpoints.write import plain_state, write_weights
from mmkd.deploy import deployed_network, load_deployed
from mmkd.evaluation.early_exit import ExitTable, fixed_exit
from mmkd.evaluation.features import data_loader
from mmkd.networks import build_network, freeze
from mmkd.utils.modes import evaluating
from mmkd.version import __version__


def assemble(config: Config, out: str | Path) -> int:
    """Write one checkpoint of the three networks that a config names.

    Args:
        config: of a `DynamicPatchClassifier`.
        out: the file to write.

    Returns:
        The number of tensors in it.

    Raises:
        ValueError: it is no cascade, or a network names no file.
    """
    cascade = require_cascade(build_network(deployed_network(config)))
    for name in ('proposal', 'global_net', 'patch_net'):
        if not getattr(cascade, name).init_cfg:
            raise ValueError(
                f'model.{name} names no file: give dict(config=..., '
                'checkpoint=...), or its init_cfg'
            )
    cascade.load_parts()
    state = plain_state(cascade)
    write_weights(out, state, dict(mmkd_version=__version__))
    return len(state)


def require_cascade(network: nn.Module) -> Any:
    """Return the network, if it is a cascade.

    Raises:
        ValueError: it is another one.
    """
    if not hasattr(network, 'load_parts'):
        raise ValueError(
            f'model.type={type(network).__name__} is no cascade; give a '
            'config with model.type=mmkd.DynamicPatchClassifier'
        )
    return network


def load_cascade(config: Config, checkpoint: str, device: str = 'cpu') -> Any:
    """Return the trained cascade of a config, frozen."""
    network = load_deployed(config, checkpoint).network
    return freeze(require_cascade(network).to(device))


def collect_table(
    cascade: Any, config: Config, split: str = 'test'
) -> tuple[ExitTable, list[float]]:
    """Run a cascade over a split; returns the table and the stages' costs.

    Costs are multiply-adds per image in 10^9.
    """
    confidences, correct, costs = [], [], []
    with evaluating(cascade):
        for images, labels in images_of(cascade, config, split):
            confidence, classes = cascade.table(images)
            confidences.append(confidence.cpu().numpy())
            correct.append((classes.cpu() == labels[:, None]).numpy())
            costs = [cost / 1e9 for cost in cascade.costs(images)]
    table = ExitTable(np.concatenate(confidences), np.concatenate(correct))
    return table, costs


def images_of(network: Any, config: Config, split: str) -> Any:
    """Yield the images and labels of a split, batch by batch."""
    for batch in data_loader(config, split, pipeline_of='test'):
        data = network.data_preprocessor(batch, False)
        labels = torch.cat([s.gt_label for s in data['data_samples']])
        yield data['inputs'], labels.cpu()


def write_table(
    path: str | Path, table: ExitTable, costs: Sequence[float]
) -> None:
    """Write a table with its costs as ``.npz``."""
    data = io.BytesIO()
    np.savez_compressed(
        data,
        confidence=table.confidence,
        correct=table.correct,
        costs=np.asarray(costs, np.float64),
    )
    write_file(path, data.getvalue())


def read_table(path: str | Path) -> tuple[ExitTable, list[float] | None]:
    """Read a table, ours or the published one (bits in place of flags).

    Returns:
        The table; the costs of its stages, None if they are not in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds no table.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'table="{path}" does not exist; write it by "tools/'
            'patch_cascade.py table CONFIG CHECKPOINT OUT"'
        )
    with np.load(path, allow_pickle=False) as content:
        known = set(content.files)
        if 'confidence' not in known or not known & {
            'correct',
            'correct_bits',
        }:
            raise ValueError(
                f'table="{path}" has the entries {sorted(known)}; a table '
                'has "confidence" and "correct" (or "correct_bits")'
            )
        confidence = content['confidence']
        if 'correct' in known:
            correct = content['correct'].astype(bool)
        else:
            bits = np.unpackbits(content['correct_bits'])
            correct = bits[: confidence.size].reshape(confidence.shape)
        costs = content['costs'].tolist() if 'costs' in known else None
    return ExitTable(confidence, correct.astype(bool)), costs


def measure_times(
    cascade: Any,
    images: Tensor,
    dense: Callable[[Tensor], Any] | None = None,
    rounds: int = 5,
) -> dict[str, float]:
    """Return seconds per image: of every fixed exit, and of the early one.

    All are run in turns; the fastest round counts.

    Args:
        cascade: on the device of the images.
        images: (N, 3, H, W).
        dense: a classifier of whole images to compare with.
        rounds: how often each is run.
    """
    own = cascade.exit_thresholds
    stages = cascade.num_stages
    runs: dict[str, Callable[[], Any]] = {}

    def run_with(thresholds: Sequence[float]) -> Callable[[], Any]:
        def run() -> None:
            cascade.exit_thresholds = tuple(thresholds)
            cascade.run(images)

        return run

    for stage in range(stages):
        runs[f'stage {stage + 1}'] = run_with(fixed_exit(stages, stage))
    if own is not None:
        runs['dynamic'] = run_with(own)
    if dense is not None:
        classify = dense
        runs['dense'] = lambda: classify(images)
    best: dict[str, float] = {}
    try:
        with evaluating(cascade):
            for turn in range(rounds + 1):
                for name, run in runs.items():
                    seconds = _seconds(run, images) / len(images)
                    if turn:  # the first warms up
                        best[name] = min(best.get(name, seconds), seconds)
    finally:
        cascade.exit_thresholds = own
    return best


def _seconds(run: Callable[[], Any], images: Tensor) -> float:
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    start = time.perf_counter()
    run()
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - start
