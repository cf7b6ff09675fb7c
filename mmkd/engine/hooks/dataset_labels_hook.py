"""The classes of the training set, for exchanges that draw from it."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmkd.datasets.sample_indices import labels_by_index
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class DatasetLabelsHook(Hook):
    """Tell the model the class of every training sample.

    Every part of the model with a method ``set_dataset_labels(labels,
    device)``, such as `MemoryMutualContrastiveExchange`, gets the labels in
    the order of ``sample_idx`` before training starts. The data set may be
    wrapped in ``RepeatDataset`` and ``ClassBalancedDataset``, or be an
    `IndexedConcatDataset`.
    """

    def before_train(self, runner: Runner) -> None:
        """Hand the labels over.

        Raises:
            TypeError: the data set cannot tell its labels.
            ValueError: no part of the model asks for them, or different
                samples have the same index.
        """
        model = unwrapped(runner.model)
        if not tell_labels(model, runner.train_dataloader.dataset):
            raise ValueError(
                'DatasetLabelsHook: no part of the model asks for the labels '
                'of the data set; remove the hook from custom_hooks'
            )


def tell_labels(model: nn.Module, dataset: Any) -> int:
    """Hand the labels to every part that asks; return how many do.

    Raises:
        TypeError, ValueError: see `labels_by_index`.
    """
    asking: list[Any] = [
        part for part in model.modules() if hasattr(part, 'set_dataset_labels')
    ]
    if asking:
        labels = labels_by_index(dataset, 'DatasetLabelsHook')
        device = next(model.parameters()).device
        for part in asking:
            part.set_dataset_labels(labels, device)
    return len(asking)
