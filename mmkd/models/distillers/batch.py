"""What losses may ask of a batch beside tapped tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd.models.cohorts.task_outputs import loss_of_output


def stack_labels(data_samples: Sequence[Any] | None) -> torch.Tensor:
    """Return the labels of a batch.

    Args:
        data_samples: samples of mmpretrain (``gt_label``) or
            mmsegmentation (``gt_sem_seg``).

    Returns:
        (N,) class labels, or (N, H, W) label maps.

    Raises:
        ValueError: the samples carry neither.
    """
    for sample in data_samples or ():
        if 'gt_sem_seg' in sample:
            return torch.cat([s.gt_sem_seg.data for s in data_samples or ()])
        if 'gt_score' in sample:
            raise ValueError(
                'a loss asks for "labels", but the data samples carry mixed '
                'labels or soft ones ("gt_score"): remove Mixup or CutMix '
                '(data_preprocessor.batch_augments, model.train_cfg.augments) '
                'and data_preprocessor.to_onehot, or use a loss without '
                'labels'
            )
        if 'gt_label' in sample:
            return torch.cat([s.gt_label for s in data_samples or ()])
        break
    raise ValueError(
        'a loss asks for "labels", but the data samples carry neither '
        '"gt_label" (classification) nor "gt_sem_seg" (segmentation): use a '
        'loss without labels, or a pipeline that loads them'
    )


def stack_sample_idx(data_samples: Sequence[Any] | None) -> torch.Tensor:
    """Return the index of every sample in its data set, (N,) int64.

    Raises:
        ValueError: the samples do not carry it.
    """
    found = [s.metainfo.get('sample_idx') for s in data_samples or ()]
    if not found or any(index is None for index in found):
        raise ValueError(
            'a loss asks for "sample_idx", but the data samples do not carry '
            'it: add "sample_idx" to meta_keys of the pack transform at the '
            'end of train_pipeline'
        )
    return torch.tensor(found, dtype=torch.long)


def _progress(key: str) -> int:
    hub = MessageHub.get_current_instance()
    return int(hub.get_info(key)) if key in hub.runtime_info else 0


class BatchInfo:
    """Answers what a loss's ``forward`` names, once per step.

    Args:
        data_samples: the samples of the step.
        device: where tensors go.
        view_labels: labels of the views, if there are views.
    """

    NAMES = ('labels', 'sample_idx', 'epoch', 'iteration', 'view_labels')

    def __init__(
        self,
        data_samples: Sequence[Any] | None,
        device: torch.device,
        view_labels: torch.Tensor | None = None,
    ) -> None:
        makers: dict[str, Callable[[], Any]] = dict(
            labels=lambda: stack_labels(data_samples).to(device),
            sample_idx=lambda: stack_sample_idx(data_samples).to(device),
            epoch=lambda: _progress('epoch'),
            iteration=lambda: _progress('iter'),
            view_labels=lambda: view_labels,
        )
        self._makers = makers
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return the value called ``name``."""
        if name not in self._values:
            self._values[name] = self._makers[name]()
        return self._values[name]


class CohortBatch(BatchInfo):
    """The same for a cohort; auxiliary classifiers ask for their loss.

    Args:
        data_samples, device, view_labels: see `BatchInfo`.
        network: whose head computes the task loss.
    """

    def __init__(
        self,
        data_samples: list | None,
        device: torch.device,
        view_labels: torch.Tensor | None = None,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(data_samples, device, view_labels)
        self._data_samples = data_samples
        self._network = network

    def hard_loss(self, logits: Any) -> torch.Tensor:
        """Return the task loss of ``logits``, a scalar."""
        if self._network is None or self._data_samples is None:
            raise ValueError('there are no labels to compare logits with')
        return loss_of_output(self._network, logits, self._data_samples)
