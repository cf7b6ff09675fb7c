"""Logit distillation by KL divergence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from mmkd.models.losses.precision import at_least_float32
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_logits, check_several

Logits = torch.Tensor | Sequence[torch.Tensor]

_ONE_CLASS = (
    'set sigmoid=True for a head with one output (in an exchange: '
    "transfer_loss=dict(type='mmkd.KLDivLoss', sigmoid=True)), or dim, where "
    'the classes are'
)


@MODELS.register_module()
class KLDivLoss(nn.Module):
    """Pull the student's softened class distribution to the teacher's.

    loss = temperature**2 * mean_{n, positions} KL(p_t || p_s),
    p = softmax over ``dim`` of logits / temperature. Every position counts,
    ignored labels too. With ``sigmoid``, for heads whose outputs are a yes
    or no each (binary segmentation with one output, dense detectors): p =
    sigmoid(logits / temperature), and KL is the sum over ``dim`` of
    p_t log(p_t / p_s) + (1 - p_t) log((1 - p_t) / (1 - p_s)). Papers:
    https://arxiv.org/abs/1503.02531; per pixel:
    https://arxiv.org/abs/2204.06986.

    Args:
        temperature: softening, > 0.
        loss_weight: factor on the returned value.
        target_epsilon: added to every target probability, without
            renormalising: sum (p_t + eps) (log(p_t + eps) - log p_s). Some
            published codes use 1e-7 against log(0); not needed here.
        detach_target: stop the gradient to the teacher.
        sigmoid: compare every output by itself instead of all by a softmax.
        dim: where the K classes are; 2 for the bins of SimCC heads, (N,
            joints, bins).

    Shape:
        student_logits, teacher_logits: (N, K, ...), any number of trailing
            dimensions, or lists of such tensors, whose losses are summed.
            K is at least 2 without ``sigmoid``. Half precision is computed
            in float32.
        returns: scalar.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
        target_epsilon: float = 0.0,
        detach_target: bool = True,
        sigmoid: bool = False,
        dim: int = 1,
    ) -> None:
        super().__init__()
        check_positive('KLDivLoss', 1.0, temperature=temperature)
        if sigmoid and target_epsilon:
            raise ValueError(
                f'KLDivLoss: target_epsilon={target_epsilon} is for the '
                'softmax form; drop it, or set sigmoid=False'
            )
        if target_epsilon < 0:
            raise ValueError(
                f'KLDivLoss: target_epsilon={target_epsilon} must not be '
                'negative; set target_epsilon=0.0'
            )
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.target_epsilon = target_epsilon
        self.detach_target = detach_target
        self.sigmoid = sigmoid
        self.dim = dim

    @property
    def softmax_dim(self) -> int | None:
        """Over which dimension the softmax runs, if there is one."""
        return None if self.sigmoid else self.dim

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
        check_logits('KLDivLoss', student, teacher, self.dim)
        if not self.sigmoid:
            check_several('KLDivLoss', student, _ONE_CLASS, self.dim)
        if self.detach_target:
            teacher = teacher.detach()
        student = at_least_float32(student) / self.temperature
        teacher = at_least_float32(teacher) / self.temperature
        divergence = self._binary if self.sigmoid else self._softmax
        kl = divergence(student, teacher).sum(self.dim)
        return kl.mean() * self.temperature**2

    def _softmax(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Return the summands of KL, one per class."""
        log_p_s = student.log_softmax(self.dim)
        log_p_t = teacher.log_softmax(self.dim)
        p_t = log_p_t.exp()
        if self.target_epsilon:
            p_t = p_t + self.target_epsilon
            log_p_t = p_t.log()
        return p_t * (log_p_t - log_p_s)

    def _binary(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """Return the KL of every class against its absence."""
        yes = logsigmoid(teacher) - logsigmoid(student)
        no = logsigmoid(-teacher) - logsigmoid(-student)
        p_t = teacher.sigmoid()
        return p_t * yes + (1 - p_t) * no

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        text = (
            f'temperature={self.temperature}, loss_weight={self.loss_weight}'
        )
        if self.sigmoid:
            text += ', sigmoid=True'
        return text if self.dim == 1 else f'{text}, dim={self.dim}'


def _as_list(logits: Logits) -> list[torch.Tensor]:
    return [logits] if isinstance(logits, torch.Tensor) else list(logits)
