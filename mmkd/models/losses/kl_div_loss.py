"""Logit distillation by KL divergence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_logits

Logits = torch.Tensor | Sequence[torch.Tensor]


@MODELS.register_module()
class KLDivLoss(nn.Module):
    """Pull the student's softened class distribution to the teacher's.

    loss = temperature**2 * mean_{n, positions} KL(p_t || p_s),
    p = softmax over dim 1 of logits / temperature. Every position counts,
    ignored labels too. Papers: https://arxiv.org/abs/1503.02531; per pixel:
    https://arxiv.org/abs/2204.06986.

    Args:
        temperature: softening, > 0.
        loss_weight: factor on the returned value.
        target_epsilon: added to every target probability, without
            renormalising: sum (p_t + eps) (log(p_t + eps) - log p_s). Some
            published codes use 1e-7 against log(0); not needed here.
        detach_target: stop the gradient to the teacher.

    Shape:
        student_logits, teacher_logits: (N, K, ...), any number of trailing
            dimensions, or lists of such tensors, whose losses are summed.
            Half precision is computed in float32.
        returns: scalar.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
        target_epsilon: float = 0.0,
        detach_target: bool = True,
    ) -> None:
        super().__init__()
        check_positive('KLDivLoss', 1.0, temperature=temperature)
        if target_epsilon < 0:
            raise ValueError(
                f'KLDivLoss: target_epsilon={target_epsilon} must not be '
                'negative; set target_epsilon=0.0'
            )
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.target_epsilon = target_epsilon
        self.detach_target = detach_target

    def forward(
        self, student_logits: Logits, teacher_logits: Logits
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: the classes, shapes or lengths differ.
        """
        students, teachers = _as_list(student_logits), _as_list(teacher_logits)
        if len(students) != len(teachers) or not students:
            raise ValueError(
                f'KLDivLoss: {len(students)} student and {len(teachers)} '
                'teacher tensors; give equally many (at least one): taps '
                'with as many paths, or networks with as many branches, on '
                'both sides'
            )
        pairs = zip(students, teachers, strict=True)
        terms = [self._term(student, teacher) for student, teacher in pairs]
        return self.loss_weight * torch.stack(terms).sum()

    def _term(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        check_logits('KLDivLoss', student, teacher)
        if self.detach_target:
            teacher = teacher.detach()
        student = at_least_float32(student) / self.temperature
        teacher = at_least_float32(teacher) / self.temperature
        log_p_s = student.log_softmax(1)
        log_p_t = teacher.log_softmax(1)
        p_t = log_p_t.exp()
        if self.target_epsilon:
            p_t = p_t + self.target_epsilon
            log_p_t = p_t.log()
        kl = (p_t * (log_p_t - log_p_s)).sum(1)
        return kl.mean() * self.temperature**2

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'temperature={self.temperature}, loss_weight={self.loss_weight}'
        )


def _as_list(logits: Logits) -> list[torch.Tensor]:
    return [logits] if isinstance(logits, torch.Tensor) else list(logits)
