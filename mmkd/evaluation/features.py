"""Pooled features of a frozen network on a data set."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmkd.deploy import deployed_network, load_deployed
from mmkd.networks import build_network, freeze
from mmkd.utils.modes import evaluating

SPLITS = ('train', 'val', 'test', 'holdout')
#: stands for a checkpoint: weights as they are initialised
RANDOM = 'random'


@dataclass(frozen=True)
class Features:
    """What a network says of a data set.

    Args:
        feats: (N, D), float32, on the CPU.
        labels: (N,), int64, on the CPU.
        classes: names by label; empty if the data set has none.
        predictions: (N,), int64, the network's own classes; None without a
            classifier.
    """

    feats: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...] = ()
    predictions: torch.Tensor | None = None

    @property
    def num_classes(self) -> int:
        """Classes K of the data set."""
        return len(self.classes) or int(self.labels.max()) + 1


def frozen_network(
    config: Config,
    checkpoint: str,
    data: Config | None = None,
    *,
    peer: int | None = None,
    device: str = 'cpu',
    allow_pickle: bool = False,
) -> nn.Module:
    """Build the network of ``config`` with trained weights, frozen.

    Batch normalization uses its running statistics (eval mode).

    Args:
        config: of the network, or of a distiller that deploys it.
        checkpoint: weights of the network or of the distiller; all must
            fit. ``'random'`` initialises the network instead.
        data: a config whose ``data_preprocessor`` (normalization of the
            data) replaces the network's own, if it has one.
        peer: which one of a cohort; defaults to the deployed one.
        device: where the network runs.
        allow_pickle: see `read_checkpoint`.

    Raises:
        ValueError: the weights do not fit.
    """
    if checkpoint == RANDOM:
        network: Any = build_network(deployed_network(config, peer))
        network.init_weights()
    else:
        network = load_deployed(
            config, checkpoint, peer=peer, allow_pickle=allow_pickle
        ).network
    preprocessor = None if data is None else data.get('data_preprocessor')
    if preprocessor is not None:
        with DefaultScope.overwrite_default_scope(_scope(data)):
            network.data_preprocessor = MODELS.build(
                {'type': 'ClsDataPreprocessor', **preprocessor}
            )
    return freeze(network.to(device))


def data_loader(
    config: Config,
    split: str,
    *,
    pipeline_of: str | None = None,
    batch_size: int | None = None,
) -> DataLoader:
    """Build the loader of one split, in order, every image once.

    Args:
        config: has ``train_dataloader`` and so on.
        split: one of `SPLITS`, e.g. ``'test'``.
        pipeline_of: take the transforms of this split instead.
        batch_size: default: that of the loader.

    Raises:
        KeyError: the config has no such loader.
        ValueError: unknown split.
    """
    settings = _loader_dict(config, split)
    if pipeline_of is not None:
        other = _innermost(_loader_dict(config, pipeline_of)['dataset'])
        own = _innermost(settings['dataset'])
        own.pop('pipeline', None)
        own.update({k: v for k, v in other.items() if k == 'pipeline'})
    for key in ('batch_sampler', 'num_batch_per_epoch', 'drop_last'):
        settings.pop(key, None)
    settings['sampler'] = dict(type='DefaultSampler', shuffle=False)
    if batch_size is not None or 'batch_size' not in settings:
        settings['batch_size'] = batch_size or 64
    if not settings.setdefault('num_workers', 0):
        settings['persistent_workers'] = False
    with DefaultScope.overwrite_default_scope(_scope(config)):
        return Runner.build_dataloader(settings)


def evaluation_split(config: Config) -> str:
    """``'test'`` if the config has it, else ``'val'``."""
    return 'test' if config.get('test_dataloader') is not None else 'val'


def collect_features(
    network: Any,
    loader: DataLoader,
    *,
    augmented: bool = False,
    with_predictions: bool = False,
) -> Features:
    """Run a frozen network over a loader.

    The feature is the last output of ``extract_feat``, averaged over
    positions if it is a map: what the classifier of an ``ImageClassifier``
    reads.

    Args:
        network: of any task repository, e.g. from `frozen_network`; it is
            run in eval mode and stays as it is.
        loader: gives batches with ``gt_label``.
        augmented: whether the data preprocessor treats the images as
            training images.
        with_predictions: keep the classes that the network predicts.

    Raises:
        TypeError: the network has no ``extract_feat``.
        ValueError: the data have no labels, or features have no vector form.
    """
    if not hasattr(network, 'extract_feat'):
        raise TypeError(
            f'{type(network).__name__} has no extract_feat; give the config '
            'of a network of a task repository'
        )
    feats, labels, predictions = [], [], []
    with evaluating(network), _unmixed(network.data_preprocessor):
        for inputs, batch_labels in _batches(network, loader, augmented):
            raw = network.extract_feat(inputs)
            if with_predictions:
                predictions.append(_predictions(network, raw))
            feats.append(_pooled(raw).float().cpu())
            labels.append(batch_labels)
    if not feats:
        raise ValueError('the data set of the loader is empty')
    meta = getattr(loader.dataset, 'metainfo', None) or {}
    return Features(
        feats=torch.cat(feats),
        labels=torch.cat(labels),
        classes=tuple(meta.get('classes') or ()),
        predictions=torch.cat(predictions) if with_predictions else None,
    )


def choose_classes(features: Features, chosen: Sequence[str]) -> Features:
    """Keep the images of some classes, labelled anew from 0 in this order.

    Args:
        features: of all classes.
        chosen: class names, labels (``'7'``), ranges (``'80-99'``, both
            ends included).

    Raises:
        KeyError: there is no such class.
        ValueError: a class is given twice.
    """
    labels = [label for text in chosen for label in _labels(features, text)]
    if len(set(labels)) != len(labels):
        raise ValueError(f'classes {list(chosen)} name a class twice')
    new = torch.full((features.num_classes,), -1)
    new[labels] = torch.arange(len(labels))
    labels_now = new[features.labels]
    kept = labels_now >= 0
    guesses = features.predictions
    return Features(
        feats=features.feats[kept],
        labels=labels_now[kept],
        classes=tuple(
            features.classes[label] if features.classes else str(label)
            for label in labels
        ),
        predictions=None if guesses is None else guesses[kept],
    )


def _labels(features: Features, text: str) -> list[int]:
    if text in features.classes:
        return [features.classes.index(text)]
    first, _, last = text.partition('-')
    if first.isdecimal() and (last or first).isdecimal():
        labels = list(range(int(first), int(last or first) + 1))
        if labels and labels[-1] < features.num_classes:
            return labels
    names = ', '.join(features.classes[:8])
    raise KeyError(
        f'class "{text}" is not among the {features.num_classes} classes'
        + (f' ({names}{", ..." if len(features.classes) > 8 else ""})')
        + f'; give names or labels from 0 to {features.num_classes - 1}'
    )


@contextmanager
def _unmixed(preprocessor: Any) -> Iterator[None]:
    """Leave out ``batch_augments``, which mix labels, for a ``with`` block."""
    mixing = getattr(preprocessor, 'batch_augments', None)
    if mixing is None:
        yield
        return
    preprocessor.batch_augments = None
    try:
        yield
    finally:
        preprocessor.batch_augments = mixing


def _batches(
    network: Any, loader: DataLoader, augmented: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    preprocessor = network.data_preprocessor
    for batch in loader:
        data = preprocessor(batch, augmented)
        labels = []
        for sample in data['data_samples'] or [None]:
            label = getattr(sample, 'gt_label', None)
            if label is None or label.numel() != 1:
                raise ValueError(
                    'a data sample has no single gt_label, only '
                    f'{sorted(sample.keys()) if sample is not None else "-"}; '
                    'give the config of a classification data set with labels'
                )
            labels.append(label.reshape(()).cpu())
        yield data['inputs'], torch.stack(labels).long()


def _pooled(raw: Any) -> torch.Tensor:
    """(N, D) of what ``extract_feat`` gave."""
    while isinstance(raw, (tuple, list)) and raw:
        raw = raw[-1]
    if isinstance(raw, torch.Tensor) and raw.ndim == 4:
        raw = raw.mean(dim=(2, 3))
    if not isinstance(raw, torch.Tensor) or raw.ndim != 2:
        form = tuple(raw.shape) if hasattr(raw, 'shape') else type(raw)
        raise ValueError(
            f'extract_feat gives {form}; expected (N, D) or (N, C, H, W): '
            'add neck=dict(type="GlobalAveragePooling") to the network'
        )
    return raw


def _predictions(network: Any, raw: Any) -> torch.Tensor:
    head = getattr(network, 'head', None)
    logits = head(raw) if head is not None else None
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        raise ValueError(
            f'{type(network).__name__} has no classifier that gives (N, K) '
            'logits; give the config of an ImageClassifier with a head'
        )
    return logits.argmax(dim=1).cpu()


def _scope(config: Any) -> str:
    return str(config.get('default_scope') or 'mmpretrain')


def _loader_dict(config: Config, split: str) -> dict[str, Any]:
    if split not in SPLITS:
        raise ValueError(f'split="{split}" is unknown; use one of {SPLITS}')
    settings = config.get(f'{split}_dataloader')
    if settings is None:
        raise KeyError(
            f'the data config has no {split}_dataloader; add it or choose '
            'another split'
        )
    return copy.deepcopy(dict(settings))


def _innermost(dataset: dict[str, Any]) -> dict[str, Any]:
    """The data set inside wrappers."""
    while isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return dataset
