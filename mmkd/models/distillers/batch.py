"""What losses and exchanges may ask of a batch beside tapped tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd.head_outputs import loss_of_output
from mmkd.models.distillers.sample_index import SampleIndex
from mmkd.tasks import stack_labels, stack_target_weights


def _moved(
    value: torch.Tensor | None, device: torch.device
) -> torch.Tensor | None:
    return None if value is None else value.to(device)


def _progress(key: str) -> int:
    hub = MessageHub.get_current_instance()
    return int(hub.get_info(key)) if key in hub.runtime_info else 0


class Batch:
    """Answers what a ``forward`` names (`BATCH_VALUES`), once per step.

    Args:
        data_samples: the samples of the step.
        device: where tensors go.
        view_labels: labels of the views, if there are views.
        network: whose head computes the task loss of auxiliary classifiers.
        sample_index: reads the index of every sample.
    """

    def __init__(
        self,
        data_samples: list | None,
        device: torch.device,
        view_labels: torch.Tensor | None = None,
        network: nn.Module | None = None,
        sample_index: SampleIndex | None = None,
    ) -> None:
        read = sample_index or SampleIndex()
        makers: dict[str, Callable[[], Any]] = dict(
            labels=lambda: stack_labels(data_samples).to(device),
            sample_idx=lambda: read(data_samples).to(device),
            target_weight=lambda: _moved(
                stack_target_weights(data_samples), device
            ),
            epoch=lambda: _progress('epoch'),
            iteration=lambda: _progress('iter'),
            view_labels=lambda: view_labels,
        )
        self._makers = makers
        self._values: dict[str, Any] = {}
        self._data_samples = data_samples
        self._network = network

    def __getitem__(self, name: str) -> Any:
        """Return the value called ``name``."""
        if name not in self._values:
            self._values[name] = self._makers[name]()
        return self._values[name]

    def hard_loss(self, logits: Any) -> torch.Tensor:
        """Return the task loss of ``logits``, a scalar."""
        if self._network is None or self._data_samples is None:
            raise ValueError('there are no labels to compare logits with')
        return loss_of_output(self._network, logits, self._data_samples)


class DummyBatch(Batch):
    """Labels and progress of a batch that does not exist.

    Args:
        label_shape: (N,), or (N, H, W) of label maps.
        rows: number of view labels.
    """

    def __init__(self, label_shape: Sequence[int], rows: int) -> None:
        super().__init__(None, torch.device('cpu'))
        self._values = dict(
            labels=torch.zeros(*label_shape, dtype=torch.long),
            view_labels=torch.zeros(rows, dtype=torch.long),
            sample_idx=torch.arange(label_shape[0]),
            target_weight=None,
            epoch=0,
            iteration=0,
        )

    def hard_loss(self, logits: Any) -> torch.Tensor:
        """Return zero."""
        return torch.zeros(())
