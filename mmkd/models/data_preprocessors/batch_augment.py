"""mmpretrain's data preprocessor with augmentation of whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import ClsDataPreprocessor

from mmkd.models.data_preprocessors.crop_flip import random_crop_flip
from mmkd.registry import MODELS


@MODELS.register_module()
class BatchAugmentPreprocessor(ClsDataPreprocessor):
    """Crops, flips and normalises a batch with a few tensor operations.

    In training, each image is padded (before normalisation, as torchvision
    and mmpretrain do; with zeros by default), cropped to its old size at a
    random offset and flipped: the distribution of the transforms
    ``RandomCrop(crop_size, padding)`` and ``RandomFlip(prob)``, which then
    are left out of the pipeline. Otherwise it is mmpretrain's
    ``ClsDataPreprocessor``, and equal to it at test time. Numbers are drawn
    from torch's global generator of the device.

    Args:
        mean: pixel mean of R, G, B, 0 to 255.
        std: pixel standard deviation of R, G, B.
        crop_padding: pixels on each side before cropping; 0: no crop.
        padding_mode: ``'constant'`` (zeros) or ``'reflect'``.
        flip_prob: probability of a horizontal flip.
        num_views: M > 1 returns a list of M independently augmented
            batches in training, one view for each peer.
        channels_last: return images in this memory format.
        **kwargs: arguments of mmpretrain's ``ClsDataPreprocessor``.

    Shape:
        inputs: (N, C, H, W), or N images of (C, H, W); uint8.
        returns: (N, C, H, W) float32, or a list of ``num_views`` of them.

    Raises:
        ValueError: a number out of range, mixing (``batch_augments``)
            together with several views, images of different sizes.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        crop_padding: int = 4,
        flip_prob: float = 0.5,
        num_views: int = 1,
        channels_last: bool = False,
        padding_mode: str = 'constant',
        **kwargs: Any,
    ) -> None:
        super().__init__(mean=mean, std=std, **kwargs)
        _check(crop_padding >= 0, 'crop_padding', crop_padding, 'at least 0')
        _check(0 <= flip_prob <= 1, 'flip_prob', flip_prob, 'from 0 to 1')
        _check(num_views >= 1, 'num_views', num_views, 'at least 1')
        known = ('constant', 'reflect')
        _check(
            padding_mode in known,
            'padding_mode',
            padding_mode,
            "'constant' or 'reflect'",
        )
        if num_views > 1 and self.batch_augments is not None:
            raise ValueError(
                f'BatchAugmentPreprocessor: num_views={num_views} together '
                'with batch_augments would mix each view with other labels; '
                'remove one of them (model.train_cfg.augments, too)'
            )
        self.crop_padding = crop_padding
        self.flip_prob = flip_prob
        self.num_views = num_views
        self.channels_last = channels_last
        self.padding_mode = padding_mode

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return ``inputs`` and ``data_samples`` as the model takes them."""
        images = _stack(self.cast_data(data['inputs']))
        if not training:
            return self._normalize({**data, 'inputs': images}, training)
        views = [self._augment(images) for _ in range(self.num_views)]
        result = self._normalize({**data, 'inputs': views[0]}, training)
        if len(views) > 1:
            others = [self._normalize(dict(inputs=v)) for v in views[1:]]
            result['inputs'] = [
                result['inputs'],
                *(other['inputs'] for other in others),
            ]
        return result

    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        if not self.crop_padding and not self.flip_prob:
            return images
        return random_crop_flip(
            images, self.crop_padding, self.flip_prob, self.padding_mode
        )

    def _normalize(self, data: dict, training: bool = False) -> dict:
        """Run the stock preprocessor on a stacked batch."""
        samples = data.get('data_samples')
        if self.device.type == 'cpu' and not self.to_onehot:
            # Nothing to do for the labels: no need to go through them.
            result = super().forward(dict(inputs=data['inputs']), training)
            result['data_samples'] = samples
        else:
            result = super().forward(data, training)
        if self.channels_last:
            result['inputs'] = result['inputs'].contiguous(
                memory_format=torch.channels_last
            )
        return result


def _stack(images: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    if isinstance(images, torch.Tensor):
        return images
    sizes = {tuple(image.shape) for image in images}
    if len(sizes) > 1:
        raise ValueError(
            f'BatchAugmentPreprocessor: images of {sorted(sizes)} in one '
            'batch; bring them to one size in the pipeline (Resize, crop)'
        )
    return torch.stack(list(images))


def _check(right: bool, key: str, value: Any, meaning: str) -> None:
    if not right:
        raise ValueError(
            f'BatchAugmentPreprocessor: {key}={value!r}, which must be '
            f'{meaning}; correct data_preprocessor.{key}'
        )
