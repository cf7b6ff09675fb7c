"""Rotated copies of every image."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.registry import MODELS


@MODELS.register_module()
class RotationViews(nn.Module):
    """Show every image in ``num_rotations`` multiples of 90 degrees.

    Row ``n * R + r`` is image n turned by r * 90 degrees counter-clockwise
    (image-major); its joint label is ``label * R + r``. The task loss is for
    the unrotated rows alone.

    Args:
        num_rotations: R, 1 to 4.

    Shape:
        images: (N, C, H, W), H = W if R is 2 or more.
        labels: (N,) int64.
        returns: (R*N, C, H, W) in the memory format of the images, and
            (R*N,).
    """

    def __init__(self, num_rotations: int = 4) -> None:
        super().__init__()
        if not 1 <= num_rotations <= 4:
            raise ValueError(
                f'views.num_rotations={num_rotations} must be 1, 2, 3 or 4'
            )
        self.num_rotations = num_rotations

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the views and their joint labels.

        Raises:
            ValueError: the images are not square, or there is not one label
                per image.
        """
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f'RotationViews needs one class label per image, got labels '
                f'{tuple(labels.shape)} for {len(images)} images: use it for '
                'classification'
            )
        height, width = images.shape[-2:]
        if self.num_rotations > 1 and height != width:
            raise ValueError(
                f'RotationViews needs square images, got {height}x{width}: '
                'crop or resize to a square in train_pipeline (for '
                'ViewMetricsHook, in the pipeline of val_dataloader)'
            )
        count = self.num_rotations
        views = torch.stack(
            [images.rot90(turn, (-2, -1)) for turn in range(count)], dim=1
        )
        joint = labels[:, None] * count + torch.arange(
            count, device=labels.device
        )
        return like_layout(views.flatten(0, 1), images), joint.flatten()

    def task_rows(self, num_images: int) -> slice:
        """Return which rows carry the task loss."""
        return slice(0, num_images * self.num_rotations, self.num_rotations)


def like_layout(views: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return ``views`` in channels_last if ``images`` are."""
    if images.is_contiguous(memory_format=torch.channels_last):
        return views.contiguous(memory_format=torch.channels_last)
    return views
