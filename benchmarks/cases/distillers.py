"""A config's distiller and one batch, for benchmarks."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from mmkd.checkpoints.export import save_plain
from mmkd.deploy import deployed_network
from mmkd.inputs import input_shapes
from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.loss_terms import bind_losses
from mmkd.models.distillers.rehearsal import Rehearsal
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.wiring import wire_sides
from mmkd.networks import (
    build_network,
    inherit_preprocessor,
    networks_of,
)
from mmkd.registry import MODELS
from mmkd.toys.data import toy_batch

TASKS = dict(
    mmpretrain='classification',
    mmseg='segmentation',
    mmpose='pose',
    mmdet='detection',
)


def build_distiller(config: Config) -> BaseDistiller:
    """Build the config's distiller.

    Teachers whose checkpoint does not exist get random weights, for their
    auxiliary heads too, which cost the same.

    Raises:
        ValueError: the config is that of a plain network.
    """
    model = copy.deepcopy(config.model)
    if not networks_of(model):
        raise ValueError(
            'benchmark: the config trains a plain network; give that of a '
            'distiller (model.student or model.cohort)'
        )
    inherit_preprocessor(model, config.get('data_preprocessor'))
    teachers = model.get('teacher') or []
    with tempfile.TemporaryDirectory() as folder:
        for index, teacher in enumerate(
            teachers if isinstance(teachers, list) else [teachers]
        ):
            file = teacher.get('checkpoint')
            if file is None or Path(file).is_file() or 'type' in teacher:
                continue  # a FeatureTeacher brings its weights
            print_log(f'{teacher.checkpoint} does not exist: random teacher')
            spec = teacher.config
            if isinstance(spec, str):
                spec = dict(
                    config=spec, cfg_options=teacher.get('cfg_options')
                )
            path = Path(folder) / f'{index}.pth'
            save_plain(_with_heads(build_network(spec), model), path)
            teacher.checkpoint = str(path)
        return MODELS.build(model)


def _with_heads(network: nn.Module, model: Mapping[str, Any]) -> nn.Module:
    """Return a teacher's network with the heads that losses read on it."""
    teachers = model['teacher']
    count = len(teachers) if isinstance(teachers, list) else 1
    specs = bind_losses(model.get('losses') or {}, count, 'views' in model)
    wiring = wire_sides(
        model.get('taps') or {},
        model.get('aux_heads') or {},
        dict(
            student=[name for spec in specs for name in spec.student],
            teacher=[name for spec in specs for name in spec.teacher],
        ),
    )['teacher']
    role = Role('teacher', network, wiring)
    shape = model.get('input_shape')
    shapes = [tuple(shape)] if shape else input_shapes(network)
    rehearsal = Rehearsal.of([role], shapes)
    if rehearsal is not None:
        rehearsal.build_heads(role)
    return nn.ModuleDict(dict(student=network, aux_heads=role.heads))


def resized_cohort(config: Config, count: int, exchange: bool) -> Config:
    """Return the config with ``count`` copies of its first peer.

    Args:
        config: of a cohort; a tree of shared parts becomes one trunk.
        count: M, at least 2.
        exchange: keep the exchange; without it, taps and heads go as well.
    """
    config = copy.deepcopy(config)
    model = config.model
    model.cohort.peers = [model.cohort.peers[0]] * count
    if model.cohort.pop('tree', None) is not None:
        model.cohort.shared = model.cohort.shared[0]
    if not exchange:
        for key in ('exchange', 'taps', 'aux_heads'):
            model.pop(key, None)
    return config


def load_batch(
    config: Config,
    size: int | None = None,
    input_shape: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return one batch as the data loader gives it.

    Args:
        config: with ``train_dataloader``.
        size: number of images; that of the loader by default.
        input_shape: (C, H, W) of synthetic scenes instead of the data.
    """
    size = size or config.train_dataloader.batch_size
    if input_shape is None:
        loader = copy.deepcopy(config.train_dataloader)
        loader.batch_size = size
        if 'batch_size' in loader.sampler:
            loader.sampler.batch_size = size
        loader.num_workers = 0
        loader.pop('persistent_workers', None)
        return next(iter(Runner.build_dataloader(loader, seed=0)))
    scope = deployed_network(config)['_scope_']
    if scope not in TASKS:
        raise ValueError(
            f'--input-shape: there are no synthetic scenes for {scope}'
        )
    _, height, width = input_shape
    return toy_batch(TASKS[scope], size, size=(height, width))


def tell_classes(distiller: Any, batch: Mapping[str, Any]) -> None:
    """Say the class of every sample to parts that draw from a data set.

    Those of the batch are its own; the others are spread evenly.
    """
    asking = [
        part
        for part in distiller.modules()
        if hasattr(part, 'set_dataset_labels')
    ]
    if not asking:
        return
    data = distiller.data_preprocessor(copy.copy(dict(batch)), True)
    device = next(distiller.parameters()).device
    info = Batch(data['data_samples'], device)
    index, labels = info['sample_idx'].cpu(), info['labels'].cpu()
    for part in asking:
        count = getattr(part, 'num_samples', None) or part.loss.num_samples
        classes = torch.arange(count) % max(10, int(labels.max()) + 1)
        classes[index] = labels
        part.set_dataset_labels(classes, device)


def unpad(networks: Iterable[nn.Module], size: Sequence[int]) -> None:
    """Stop data preprocessors from padding to the size of the config."""
    for network in networks:
        preprocessor: Any = network.data_preprocessor
        if getattr(preprocessor, 'size', None) is not None:
            preprocessor.size = tuple(size)


def train_alone(network: nn.Module) -> nn.Module:
    """Return a copy that trains alone, on one view of each image."""
    network = copy.deepcopy(network)
    preprocessor: Any = network.data_preprocessor
    if hasattr(preprocessor, 'num_views'):
        preprocessor.num_views = 1
    return network
