"""PKD: feature maps compared channel by channel, by their correlation."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss
from mmkd.registry import MODELS
from mmkd.utils.shapes import check_feature_maps


@MODELS.register_module()
class PKDLoss(FeaturePairLoss):
    """Squared error between normalised feature maps.

    Each channel of either side gets mean 0 and standard deviation 1 over
    images and positions; loss = mean over N, C, H, W of (f_s - f_t)^2 / 2.
    That is 1 - r, averaged over the channels, times (M - 1) / M: r is
    Pearson's correlation of a student's channel with the teacher's, M =
    N H W. What a channel's scale and offset are does not matter, so large
    channels do not outweigh the others.

    Several levels are summed. The statistics are those of the images of a
    process, as published. Published weight 10 for one-stage and 6 for
    two-stage detectors, on the first four levels of the pyramid. Paper:
    https://arxiv.org/abs/2207.02039 (as in the authors' code).

    Args:
        loss_weight: factor on the returned value.
        eps: added to the standard deviation; a constant channel becomes 0.

    Shape:
        student, teacher: (N, C, H, W), or lists of such maps (levels).
            Other heights and widths: ``resize`` in the config.
        returns: scalar.

    Raises:
        ValueError: ``eps`` is not positive.
    """

    def __init__(self, loss_weight: float = 1.0, eps: float = 1e-6) -> None:
        super().__init__(loss_weight)
        if eps <= 0:
            raise ValueError(
                f'PKDLoss: eps={eps} must be positive; set eps=1e-6'
            )
        self.eps = eps

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one level."""
        check_feature_maps('PKDLoss', student, teacher)
        if student.shape[1] != teacher.shape[1]:
            raise ValueError(
                f'PKDLoss: the channels differ: student {tuple(student.shape)}'
                f', teacher {tuple(teacher.shape)}; channels are compared one '
                'by one: choose taps with equally many, or '
                "type='mmkd.FitNetLoss' with student_channels='auto' and "
                "teacher_channels='auto', which learns a map between them"
            )
        return (
            functional.mse_loss(
                normalized(student, self.eps), normalized(teacher, self.eps)
            )
            / 2
        )


def normalized(maps: torch.Tensor, eps: float) -> torch.Tensor:
    """Return maps (N, C, H, W) of mean 0 and deviation 1 in each channel."""
    single = maps[:, 0].numel() == 1  # its deviation from itself is 0
    std, mean = torch.std_mean(
        maps, (0, 2, 3), correction=0 if single else 1, keepdim=True
    )
    return (maps - mean) / (std + eps)
