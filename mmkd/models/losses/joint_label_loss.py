"""Cross entropy with the joint labels of rotated views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.indices import check_classes


@MODELS.register_module()
class JointLabelLoss(nn.Module):
    """Teach branches to tell class and rotation at once (HSAKD).

    loss = sum_l mean_n CE(u_l, t), t = R * class + rotation. Papers:
    https://arxiv.org/abs/2107.13715, https://arxiv.org/abs/2109.03075.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        joint_logits: (R*N, R*C) each, of one branch or a list of branches.
        view_labels: (R*N,) int64, from `RotationViews`.
        returns: scalar. Half precision is computed in float32.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self,
        joint_logits: torch.Tensor | Sequence[torch.Tensor],
        view_labels: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: there is not one label per row, or (on the CPU) a
                label is no class of the branches.
        """
        branches = (
            [joint_logits]
            if isinstance(joint_logits, torch.Tensor)
            else list(joint_logits)
        )
        if not branches or any(len(b) != len(view_labels) for b in branches):
            raise ValueError(
                f'JointLabelLoss: branches of '
                f'{[tuple(b.shape) for b in branches]}, but '
                f'{len(view_labels)} joint labels; let the branches (on) '
                'read taps of all rows of views=dict(type="mmkd.'
                'RotationViews")'
            )
        fewest = min(logits.shape[1] for logits in branches)
        check_classes('JointLabelLoss', view_labels, fewest)
        terms = [
            functional.cross_entropy(at_least_float32(logits), view_labels)
            for logits in branches
        ]
        return self.loss_weight * torch.stack(terms).sum()
