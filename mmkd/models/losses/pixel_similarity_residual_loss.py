"""Residuals between the attention of several layers (DSD, pixels)."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import nn

from mmkd.models.losses.feature_pair_loss import Features, as_list
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.registry import MODELS
from mmkd.utils.shapes import check_feature_maps


@MODELS.register_module()
class PixelSimilarityResidualLoss(nn.Module):
    """Imitate how attention changes from layer to layer.

    att(x) = mean_c x^2 over the positions, of L2 norm 1; for all pairs of
    maps m > n: res_mn = (att_m - att_n) of norm 1;

    loss = mean over pairs, N and positions of (res_mn^s - res_mn^t)^2.

    The maps of one network must have one height and width. Published weight
    1000, on [auxiliary logits, features, logits] of networks with an
    auxiliary head, [features, logits] of others; the original code takes the
    stages of the backbone. Paper: https://arxiv.org/abs/2107.08591
    (double similarity distillation), its pixel-wise similarity.

    Args:
        loss_weight: factor on the returned value.
        reference_layers: a student without auxiliary head gives [features,
            logits] against the teacher's three maps: its logits stand for
            the missing ones, as in the published comparison.

    Shape:
        student, teacher: lists of at least two maps (N, C, h, w), from the
            first layer to the last; channels may differ.
        returns: scalar. Residuals of equal maps are 0, without gradient.

    Raises:
        ValueError: fewer than two maps, not equally many, or other sizes.
    """

    def __init__(
        self, loss_weight: float = 1.0, reference_layers: bool = False
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.reference_layers = reference_layers

    def forward(self, student: Features, teacher: Features) -> torch.Tensor:
        """Compute the weighted loss."""
        students = as_list(student)
        teachers = [maps.detach() for maps in as_list(teacher)]
        if self.reference_layers and len(students) == len(teachers) - 1:
            students = [students[-1], *students]
        self._check(students, teachers)
        with no_autocast(students[0]):
            gaps = [
                (s - t.to(s)).square().mean()
                for s, t in zip(
                    residuals(students), residuals(teachers), strict=True
                )
            ]
        return self.loss_weight * torch.stack(gaps).mean()

    def _check(
        self, students: list[torch.Tensor], teachers: list[torch.Tensor]
    ) -> None:
        owner = type(self).__name__
        if len(students) != len(teachers) or len(students) < 2:
            raise ValueError(
                f'{owner}: {len(students)} student and {len(teachers)} '
                'teacher maps; give equally many, at least two, e.g. a tap '
                "['decode_head.conv_seg:input', 'decode_head.conv_seg'] on "
                'both sides'
            )
        for maps in (*students, *teachers):
            check_feature_maps(owner, maps, teachers[0])

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'loss_weight={self.loss_weight}, '
            f'reference_layers={self.reference_layers}'
        )


def residuals(maps: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return res_mn, (N, h w), of all pairs of maps."""
    attention = [
        _unit(at_least_float32(x).square().mean(1).flatten(1)) for x in maps
    ]
    return [_unit(m - n) for n, m in combinations(attention, 2)]


def _unit(rows: torch.Tensor) -> torch.Tensor:
    """Return rows of norm 1; rows of zeros stay, without gradient."""
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return torch.where(norm > 0, rows / norm.clamp(min=1e-12), 0)
