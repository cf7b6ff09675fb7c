"""The toy run of a method, ready for its first step, with fixed batches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from benchmarks.kills.cases import CASES, shortened, typed
from mmkd.cli.runner import build_runner
from mmkd.engine.hooks import DatasetLabelsHook

#: methods of which a second, larger config says nothing more here
_TWINS = (
    'HSAKD, teacher', 'FITNET, segmentation', 'PKD, Faster R-CNN',
    'segmentation baseline', 'classification baseline', 'pose baseline',
    'detection baseline',
)  # fmt: skip
METHODS = tuple(name for name in CASES if name not in _TWINS)

#: of norms in groups; a batch, and its parts, are multiples
GROUP = 2


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def toy_config(name: str, folder: Path, steps: int = 20) -> Config:
    """Return the config of a method, without validation or checkpoints.

    Args:
        name: one of `METHODS`.
        folder: of the run.
        steps: how long; a multiple of 4.
    """
    path = CASES[name]
    config = shortened(path, steps, 0, folder, mid_epoch=False)
    for part in typed(config.model):
        if part.type.endswith('GroupedBatchNorm'):
            part.group_size = GROUP
    for part in ('val', 'test'):
        for key in ('cfg', 'dataloader', 'evaluator'):
            config[f'{part}_{key}'] = None
    config.work_dir = str(folder / 'run')
    config.log_level = 'ERROR'
    config.experiment_name = f'{path.replace("/", "_")}_{id(config)}'
    hooks = config.default_hooks
    hooks.checkpoint = dict(type='CheckpointHook', interval=10**9)
    config.custom_hooks = [
        hook
        for hook in config.get('custom_hooks') or []
        if 'ExportStudent' not in hook['type']
        and 'BestPeer' not in hook['type']
    ]
    return config


@dataclass
class Toy:
    """A run that has not begun.

    Args:
        runner: with model, optimizers and training data.
        batches: raw, as its data loader would give them.
    """

    runner: Runner
    batches: list[Any]

    @property
    def model(self) -> Any:
        """The network or distiller."""
        return self.runner.model


def toy_run(
    name: str, folder: Path, batch_size: int, batches: int, **changes: Any
) -> Toy:
    """Build the run of a method; its weights and samples are always alike.

    Args:
        name: one of `METHODS`.
        folder: of the run.
        batch_size: of each batch.
        batches: how many.
        **changes: keys of the config.
    """
    seed_all(0)
    config = toy_config(name, folder)
    config.merge_from_dict(changes)
    runner = build_runner(config)
    loop = runner.build_train_loop(runner._train_loop)
    runner._train_loop = loop
    seed_all(0)
    runner._init_model_weights()
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    for hook in runner.hooks:
        if isinstance(hook, DatasetLabelsHook):
            hook.before_train(runner)
    loader = runner.train_dataloader
    return Toy(
        runner,
        list(
            fixed_batches(
                loader.dataset, loader.collate_fn, batch_size, batches
            )
        ),
    )


def fixed_batches(
    dataset: Any, collate: Any, size: int, number: int
) -> Iterator[Any]:
    """Yield batches that are the same at every call.

    Two neighbours are of one class where samples have one: contrast needs
    pairs.
    """
    rows = list(_paired_rows(dataset))
    for start in range(0, size * number, size):
        samples = []
        for k in range(start, start + size):
            row = rows[k % len(rows)]
            seed_all(row)
            samples.append(dataset[row])
        yield collate(samples)


def _paired_rows(dataset: Any) -> Iterator[int]:
    by_class: dict[Any, list[int]] = {}
    for row in range(len(dataset)):
        label = dataset.get_data_info(row).get('gt_label', 0)
        by_class.setdefault(label, []).append(row)
    while any(len(rows) > 1 for rows in by_class.values()):
        for rows in by_class.values():
            if len(rows) > 1:
                yield rows.pop(0)
                yield rows.pop(0)


def set_norms_apart(model: torch.nn.Module) -> None:
    """Let every sample be by itself: no batch statistics, no dropout."""
    for module in model.modules():
        kind = type(module).__name__
        if 'BatchNorm' in kind:
            module.eval()
        if 'Drop' in kind:
            module.eval()


@contextmanager
def forgotten_globals() -> Iterator[None]:
    """Drop what mmengine keeps of a run for the whole process."""
    try:
        yield
    finally:
        managers: list[Any] = [DefaultScope, MMLogger, Visualizer, MessageHub]
        while managers:
            manager = managers.pop()
            managers += manager.__subclasses__()
            manager._instance_dict.clear()


def part_of(data: Any, first: int, last: int) -> Any:
    """Return samples of a batch; inputs may be a list, one per view.

    Args:
        data: ``inputs`` and ``data_samples``, preprocessed.
        first, last: samples from ``first``, before ``last``.
    """
    inputs = data['inputs']
    samples: Sequence[Any] | None = data.get('data_samples')
    found = dict(data)
    found['inputs'] = (
        [view[first:last] for view in inputs]
        if isinstance(inputs, (list, tuple))
        else inputs[first:last]
    )
    if samples is not None:
        found['data_samples'] = list(samples[first:last])
    return found
