"""mmpretrain's data preprocessor for several views of each image."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.models import ClsDataPreprocessor

from mmkd.registry import MODELS


@MODELS.register_module()
class MultiViewPreprocessor(ClsDataPreprocessor):
    """Normalises every view that the transform ``MultiView`` has made.

    For cohorts whose peers see an augmentation of their own, where the data
    pipeline augments. A batch with one view is treated as by mmpretrain's
    ``ClsDataPreprocessor``, which takes the same arguments.

    Shape:
        inputs: list of M batches (N, C, H, W), as ``collate_fn=dict(
            type='default_collate')`` makes it, or (N, C, H, W).
        returns: ``inputs`` as list of M normalised batches, or one.

    Raises:
        ValueError: mixing (``batch_augments``) together with several views.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return ``inputs`` and ``data_samples`` as the model takes them."""
        views = data['inputs']
        if isinstance(views, torch.Tensor) or views[0].ndim != 4:
            return super().forward(data, training)
        if training and self.batch_augments is not None:
            raise ValueError(
                f'MultiViewPreprocessor: {len(views)} views together with '
                'batch_augments would mix each view with other labels; '
                'remove model.train_cfg.augments'
            )
        result: dict[str, Any] = super().forward(
            {**data, 'inputs': views[0]}, training
        )
        normalized = [result['inputs']]
        for view in views[1:]:
            other = super().forward(dict(inputs=view), training)
            normalized.append(other['inputs'])
        result['inputs'] = normalized
        return result
