"""The classes of the training set, for exchanges that draw from it."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class DatasetLabelsHook(Hook):
    """Tell the model the class of every training sample.

    Every part of the model with a method ``set_dataset_labels(labels,
    device)``, such as `MemoryMutualContrastiveExchange`, gets the labels in
    the order of ``sample_idx`` before training starts.
    """

    def before_train(self, runner: Runner) -> None:
        """Hand the labels over.

        Raises:
            TypeError: the data set cannot tell its labels.
            ValueError: no part of the model asks for them.
        """
        model = unwrapped(runner.model)
        asking = [
            part
            for part in model.modules()
            if hasattr(part, 'set_dataset_labels')
        ]
        if not asking:
            raise ValueError(
                'DatasetLabelsHook: no part of the model asks for the labels '
                'of the data set; remove the hook from custom_hooks'
            )
        dataset = runner.train_dataloader.dataset
        if not hasattr(dataset, 'get_gt_labels'):
            raise TypeError(
                f'DatasetLabelsHook: train_dataloader.dataset is a '
                f'{type(dataset).__name__}, which has no get_gt_labels(); '
                'use a classification data set of mmpretrain or mmkd, not '
                'wrapped (sample_idx must count the whole set)'
            )
        labels = dataset.get_gt_labels()
        device = next(model.parameters()).device
        for part in asking:
            part.set_dataset_labels(labels, device)
