"""What losses that compare features of student and teacher have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.precision import at_least_float32, no_autocast

Features = torch.Tensor | Sequence[torch.Tensor]
Pairs = list[tuple[torch.Tensor, torch.Tensor]]


class FeaturePairLoss(nn.Module):
    """Sum of one term per pair of student and teacher features.

    A subclass gives `pair_loss` or `terms`. The teacher is detached; half
    precision is computed in float32, with autocast off.

    Args:
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: features of the same images, dim 0 = N, or lists
            of such tensors (stages), zipped in order.
        returns: scalar.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, student: Features, teacher: Features) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: the features do not belong together.
        """
        pairs = self.pairs(student, teacher)
        with no_autocast(pairs[0][0]):
            return self.loss_weight * torch.stack(self.terms(pairs)).sum()

    def terms(self, pairs: Pairs) -> list[torch.Tensor]:
        """Return the unweighted terms; by default one per pair."""
        return [self.pair_loss(*pair, k) for k, pair in enumerate(pairs)]

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the unweighted loss of pair number ``index``."""
        raise NotImplementedError

    def pairs(self, student: Features, teacher: Features) -> Pairs:
        """Return (student, detached teacher), float32 at least.

        Raises:
            ValueError: not equally many tensors, or other images.
        """
        owner = type(self).__name__
        students, teachers = as_list(student), as_list(teacher)
        if len(students) != len(teachers) or not students:
            raise ValueError(
                f'{owner}: {len(students)} student and {len(teachers)} '
                'teacher features; give equally many (at least one), by taps '
                'with as many paths on both sides'
            )
        for s, t in zip(students, teachers, strict=True):
            if min(s.ndim, t.ndim) < 2:
                raise ValueError(
                    f'{owner}: features must be (N, C, ...), got student '
                    f'{tuple(s.shape)} and teacher {tuple(t.shape)}; choose '
                    'taps that record one vector or map per image'
                )
            if len(s) != len(t):
                raise ValueError(
                    f'{owner}: the numbers of images differ: student '
                    f'features {tuple(s.shape)}, teacher features '
                    f'{tuple(t.shape)}; both networks must see the same batch'
                )
        return [
            (at_least_float32(s), at_least_float32(t.detach()).to(s.device))
            for s, t in zip(students, teachers, strict=True)
        ]

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return f'loss_weight={self.loss_weight}'


def as_list(features: Features) -> list[torch.Tensor]:
    """Return one tensor or several as a list."""
    if isinstance(features, torch.Tensor):
        return [features]
    return list(features)


def require_maps(
    owner: str, student: torch.Tensor, teacher: torch.Tensor
) -> None:
    """Check that both are feature maps (N, C, H, W).

    Raises:
        ValueError: they are not.
    """
    if student.ndim != 4 or teacher.ndim != 4:
        raise ValueError(
            f'{owner}: expected maps (N, C, H, W), got student '
            f'{tuple(student.shape)} and teacher {tuple(teacher.shape)}; '
            'choose taps in front of the pooling'
        )


def pool_to_smaller(
    first: torch.Tensor, second: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average-pool the larger of two maps (N, C, H, W) to the smaller."""
    height, width = map(min, first.shape[2:], second.shape[2:])
    size = (height, width)
    return _pool(first, size), _pool(second, size)


def _pool(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if maps.shape[2:] == size:
        return maps
    return functional.adaptive_avg_pool2d(maps, size)
