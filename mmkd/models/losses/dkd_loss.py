"""Decoupled knowledge distillation."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.models.losses.precision import at_least_float32
from mmkd.models.losses.warmup import warmup_factor
from mmkd.registry import MODELS
from mmkd.utils.indices import check_classes, check_labels
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_logits


@MODELS.register_module()
class DKDLoss(nn.Module):
    """Logit distillation, target class and other classes weighted apart.

    With p = softmax(z / T), b = [p_y, 1 - p_y] for the label y, and p' the
    softmax over the K - 1 other classes alone,

    loss = w (alpha TCKD + beta NCKD),
    TCKD = T^2 mean_n KL(b_t || b_s), NCKD = T^2 mean_n KL(p'_t || p'_s),
    w = min((epoch + 1) / warmup_epochs, 1).

    beta = 1 - p_y of the teacher, per sample, would give the undivided KL.
    Published: beta 8 for most CIFAR-100 pairs, 6 for WRN-40-2 to WRN-16-2 or
    -40-1 and VGG-13 to VGG-8 or MobileNetV2, 2 for ResNet-56 to 20 and 110
    to 32; ImageNet: T 1, beta 0.5, one warm-up epoch. Paper:
    https://arxiv.org/abs/2203.08679.

    Args:
        alpha: weight of TCKD.
        beta: weight of NCKD.
        temperature: T, > 0.
        warmup_epochs: the weight grows linearly over these; 0: from the
            start in full.
        loss_weight: factor on the returned value.

    Shape:
        student_logits, teacher_logits: (N, K), K >= 2. Half precision is
            computed in float32. The teacher is detached.
        labels: (N,) integers.
        epoch: counted from 0; None is after the warm-up.
        returns: scalar.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 8.0,
        temperature: float = 4.0,
        warmup_epochs: int = 20,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive('DKDLoss', 4.0, temperature=temperature)
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature
        self.warmup_epochs = warmup_epochs
        self.loss_weight = loss_weight

    def forward(
        self,
        student_logits: torch.Tensor,
        teacher_logits: torch.Tensor,
        labels: torch.Tensor,
        epoch: int | None = None,
    ) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: logits or labels that do not fit each other.
        """
        self._check(student_logits, teacher_logits, labels)
        students, teachers = (
            at_least_float32(logits) / self.temperature
            for logits in (student_logits, teacher_logits.detach())
        )
        target, others = (
            _kl(t, s).mean() * self.temperature**2
            for s, t in zip(
                _decouple(students, labels),
                _decouple(teachers, labels),
                strict=True,
            )
        )
        weight = self.loss_weight * warmup_factor(epoch, self.warmup_epochs)
        return weight * (self.alpha * target + self.beta * others)

    def _check(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> None:
        check_logits('DKDLoss', student, teacher)
        if student.ndim != 2 or student.shape[1] < 2:
            raise ValueError(
                f'DKDLoss: logits {tuple(student.shape)} must be (N, K) with '
                'at least two classes; choose the tap of a classifier'
            )
        check_labels('DKDLoss', labels, len(student))
        check_classes('DKDLoss', labels, student.shape[1])

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'alpha={self.alpha}, beta={self.beta}, '
            f'temperature={self.temperature}, '
            f'warmup_epochs={self.warmup_epochs}, '
            f'loss_weight={self.loss_weight}'
        )


def _decouple(
    logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log [p_y, 1 - p_y], (N, 2), and log p', (N, K - 1)."""
    labels = labels.long()[:, None]
    index = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, index + (index >= labels))
    rest = others.logsumexp(1, keepdim=True)
    pair = torch.cat([logits.gather(1, labels), rest], 1)
    return pair.log_softmax(1), others - rest


def _kl(log_target: torch.Tensor, log_learner: torch.Tensor) -> torch.Tensor:
    return (log_target.exp() * (log_target - log_learner)).sum(1)
