"""Flow of the solution procedure."""

from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    Pairs,
    pool_to_smaller,
    require_maps,
)
from mmkd.registry import MODELS


@MODELS.register_module()
class FSPLoss(FeaturePairLoss):
    """Imitate how consecutive features of the teacher correlate.

    loss = sum over consecutive pairs of mean_{N, C, C'} (G_s - G_t)^2, G =
    X Y^T / (H W) of the two maps, the larger average-pooled to the smaller.
    Made for a first phase without task loss; channels of both networks must
    agree. Paper: "A Gift from Knowledge Distillation", CVPR 2017.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: lists of two or more maps (N, C, H, W).
        returns: scalar.
    """

    def terms(self, pairs: Pairs) -> list[torch.Tensor]:
        """Return the loss of every two consecutive features."""
        if len(pairs) < 2:
            raise ValueError(
                f'FSPLoss: {len(pairs)} feature map; give two or more, e.g. '
                'stem and stages, by a tap with several paths'
            )
        for student, teacher in pairs:
            require_maps('FSPLoss', student, teacher)
            if student.shape[1] != teacher.shape[1]:
                raise ValueError(
                    f'FSPLoss: student features {tuple(student.shape)} and '
                    f'teacher features {tuple(teacher.shape)} differ in '
                    'channels; choose networks of equal widths, or taps '
                    'where they are equal'
                )
        students, teachers = zip(*pairs, strict=True)
        flows = zip(flow(students), flow(teachers), strict=True)
        return [functional.mse_loss(*pair) for pair in flows]


def flow(maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Return G (N, C, C') of every two consecutive maps."""
    matrices = []
    for first, second in zip(maps, maps[1:], strict=False):
        x, y = (part.flatten(2) for part in pool_to_smaller(first, second))
        matrices.append(x @ y.transpose(1, 2) / x.shape[2])
    return matrices
