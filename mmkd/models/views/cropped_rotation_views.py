"""Rotated copies of every image, each cropped on its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmkd.models.data_preprocessors.crop_flip import crop_flip
from mmkd.models.views.rotation_views import RotationViews, like_layout
from mmkd.registry import MODELS


@MODELS.register_module()
class CroppedRotationViews(RotationViews):
    """`RotationViews` whose every view is padded and cropped at random (SSKD).

    Pad with black, crop to the old size; offsets are drawn for each view on
    its own, from torch's generator of the images' device. Switch the crop of
    the data preprocessor off (``crop_padding=0``); its flip is what the
    views of an image share.

    Args:
        num_rotations: R, 1 to 4.
        crop_padding: black pixels on each side.
        mean: as in the data preprocessor, per channel; with ``std`` it says
            what black is. None: black is 0.
        std: as in the data preprocessor.

    Shape:
        images: (N, C, H, W), normalised, H = W if R is 2 or more.
        labels: (N,) int64.
        returns: (R*N, C, H, W) and the joint labels (R*N,), image-major.

    Raises:
        ValueError: see `RotationViews`; or one of mean and std is missing.
    """

    black: torch.Tensor

    def __init__(
        self,
        num_rotations: int = 4,
        crop_padding: int = 4,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(num_rotations)
        if (mean is None) != (std is None) or crop_padding < 0:
            raise ValueError(
                f'CroppedRotationViews: mean={mean}, std={std}, crop_padding='
                f'{crop_padding}; give mean and std as in the data '
                'preprocessor, or neither, and crop_padding of at least 0'
            )
        self.crop_padding = crop_padding
        black = torch.zeros(1)
        if mean is not None and std is not None:
            black = -torch.tensor(mean) / torch.tensor(std)
        self.register_buffer('black', black.view(-1, 1, 1), persistent=False)

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the views and their joint labels.

        Raises:
            ValueError: see `RotationViews`.
        """
        views, joint = super().forward(images, labels)
        count, device = len(views), views.device
        top, left = torch.randint(
            2 * self.crop_padding + 1, (2, count), device=device
        )
        upright = torch.zeros(count, dtype=torch.bool, device=device)
        black = self.black.to(views)
        # zeros are what the padding adds
        views = crop_flip(views - black, self.crop_padding, top, left, upright)
        return like_layout(views + black, images), joint
