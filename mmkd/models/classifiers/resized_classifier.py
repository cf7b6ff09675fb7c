"""A classifier that sees the whole image, shrunk to a patch."""

from __future__ import annotations

from typing import Any

from mmpretrain.models.classifiers import ImageClassifier
from torch import Tensor
from torch.nn import functional as F

from mmkd.registry import MODELS


def shrink(images: Tensor, size: int) -> Tensor:
    """Scale images to a square, as AnchorNet's authors do.

    Bicubic with aligned corners, no anti-aliasing, no clamping, after the
    normalisation. Images of that size are returned as they are.

    Shape:
        images: (N, C, H, W).
        returns: (N, C, size, size).
    """
    if tuple(images.shape[-2:]) == (size, size):
        return images
    return F.interpolate(
        images, size=(size, size), mode='bicubic', align_corners=True
    )


@MODELS.register_module()
class ResizedClassifier(ImageClassifier):
    """An ImageClassifier that shrinks its images first.

    The first look of AnchorNet's cascade: the global view. Its pipeline is
    that of the full image; the shrinking belongs to the network, since a
    resized uint8 image would give other numbers.

    Args:
        input_size: side in pixels that images are scaled to.
        **kwargs: arguments of mmpretrain's ``ImageClassifier``.

    Shape:
        input: (N, 3, H, W), of any size.

    Raises:
        ValueError: ``input_size`` is below 1.
    """

    def __init__(self, *args: Any, input_size: int = 95, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if input_size < 1:
            raise ValueError(
                f'ResizedClassifier: input_size={input_size} is no number of '
                'pixels; set it to the patch size, 95'
            )
        self.input_size = input_size

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """Return features of the shrunk images."""
        return super().extract_feat(shrink(inputs, self.input_size), stage)
