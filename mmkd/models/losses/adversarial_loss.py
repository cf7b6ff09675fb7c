"""Logits that a discriminator cannot tell from the teacher's (SKD)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn
from torch.func import functional_call

from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.registry import MODELS
from mmkd.utils.dist import broadcast_from_first
from mmkd.utils.shapes import check_feature_maps, check_logits

HINGE, WGAN = 'hinge', 'wgan-gp'
PHASE = 'discriminator'


@MODELS.register_module()
class AdversarialLoss(nn.Module):
    """Train a discriminator D, and the student against it.

    L_G = -mean D(z_s), for the student; in a phase of its own, for D:

    - ``'hinge'``: L_D = mean relu(1 - D(z_t)) + mean relu(1 + D(z_s)),
    - ``'wgan-gp'``: L_D = mean D(z_s) - mean D(z_t) + ``gradient_penalty`` *
      mean (|grad D(z)| - 1)^2, z between z_t and z_s at random.

    Neither network gets a gradient of L_D, D none of L_G. A step calls D
    three times in training mode, on z_s, z_s and z_t, at the weights before
    the step; the student's optimizer is ``main`` of ``optim_wrapper``, that
    of D ``discriminator`` (published: Adam, lr 4e-4, betas (0.9, 0.99)).
    Papers: https://arxiv.org/abs/1903.04197 (holistic distillation; its
    discriminator sees the image too), https://arxiv.org/abs/1805.08318.

    Args:
        mode: ``'hinge'`` or ``'wgan-gp'``.
        generator_weight: factor on L_G; 0 leaves its pass out.
        discriminator_weight: factor on L_D. Both 0: there is no
            discriminator, and nothing is computed.
        discriminator: module or config, e.g.
            ``dict(type='mmkd.SelfAttentionDiscriminator')``; needed in
            ``forward``, not in `generator` and `discriminator`.
        gradient_penalty: of ``'wgan-gp'``.

    Shape:
        student_logits, teacher_logits: (N, K, h, w).
        returns: scalar.

    Raises:
        ValueError: a bad setting, or shapes that differ.
    """

    def __init__(
        self,
        mode: str = HINGE,
        generator_weight: float = 0.001,
        discriminator_weight: float = 0.1,
        discriminator: nn.Module | Mapping[str, Any] | None = None,
        gradient_penalty: float = 10.0,
    ) -> None:
        super().__init__()
        if mode not in (HINGE, WGAN):
            raise ValueError(
                f'AdversarialLoss: mode={mode!r} is unknown; choose '
                f"'{HINGE}' or '{WGAN}'"
            )
        if generator_weight and not discriminator_weight:
            raise ValueError(
                f'AdversarialLoss: generator_weight={generator_weight} with '
                'discriminator_weight=0 would set the student against a '
                'discriminator that never learns; set both, or both to 0'
            )
        self.mode = mode
        self.generator_weight = generator_weight
        self.discriminator_weight = discriminator_weight
        self.gradient_penalty = gradient_penalty
        if isinstance(discriminator, Mapping):
            discriminator = ROOT_MODELS.build(copy.deepcopy(discriminator))
        self.judge: Any = discriminator if discriminator_weight else None
        self._shared = False

    @property
    def phases(self) -> tuple[str, ...]:
        """The discriminator has an optimizer of its own."""
        return () if self.judge is None else (PHASE,)

    def phase_parameters(
        self, phase: str, networks: Sequence[nn.Module]
    ) -> Iterable[nn.Parameter]:
        """Return what the optimizer of the discriminator trains."""
        return self._judge().parameters()

    def forward(
        self, student_logits: torch.Tensor, teacher_logits: torch.Tensor
    ) -> torch.Tensor:
        """Return the weighted L_G."""
        if not self.generator_weight:
            return student_logits.new_zeros(())
        self._check(student_logits, teacher_logits)
        return self.generator_weight * self.generator(
            self.scores(student_logits)
        )

    def phase_losses(
        self,
        phase: str,
        student_logits: torch.Tensor,
        teacher_logits: torch.Tensor,
    ) -> torch.Tensor:
        """Return the weighted L_D."""
        self._check(student_logits, teacher_logits)
        student = student_logits.detach()
        teacher = teacher_logits.detach().to(student)
        loss = self.discriminator(self.scores(student), self.scores(teacher))
        if self.mode == WGAN:
            loss = loss + self.gradient_penalty * self._penalty(
                student, teacher
            )
        return self.discriminator_weight * loss

    def generator(self, scores_student: torch.Tensor) -> torch.Tensor:
        """Return L_G of scores of any shape."""
        return -scores_student.mean()

    def discriminator(
        self, scores_student: torch.Tensor, scores_teacher: torch.Tensor
    ) -> torch.Tensor:
        """Return L_D of scores of any shape, without gradient penalty."""
        if self.mode == HINGE:
            real = (1 - scores_teacher).relu().mean()
            return real + (1 + scores_student).relu().mean()
        return scores_student.mean() - scores_teacher.mean()

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return D of logits; outside of training D stays as it is."""
        judge = self._judge()
        logits = at_least_float32(logits)
        with no_autocast(logits):
            if self.training:
                if not self._shared:  # wrappers may leave buffers alone
                    broadcast_from_first(judge.buffers())
                    self._shared = True
                return judge(logits)
            kept = {k: v.clone() for k, v in judge.named_buffers()}
            return functional_call(judge, kept, (logits,))

    def _penalty(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        share = torch.rand(len(student), 1, 1, 1).to(student)
        between = (share * teacher + (1 - share) * student).requires_grad_()
        with torch.enable_grad():
            total = self.scores(between).sum()
            (grad,) = torch.autograd.grad(total, between, create_graph=True)
        norms = torch.linalg.vector_norm(grad.flatten(1), dim=1)
        return (norms - 1).square().mean()

    def _judge(self) -> nn.Module:
        if self.judge is None:
            raise ValueError(
                'AdversarialLoss: discriminator=None; give discriminator='
                "dict(type='mmkd.SelfAttentionDiscriminator')"
            )
        return self.judge

    def _check(self, student: torch.Tensor, teacher: torch.Tensor) -> None:
        check_feature_maps('AdversarialLoss', student, teacher)
        check_logits('AdversarialLoss', student, teacher)

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'mode={self.mode!r}, generator_weight={self.generator_weight}, '
            f'discriminator_weight={self.discriminator_weight}'
        )
