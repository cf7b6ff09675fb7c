"""Self-supervision knowledge distillation on rotated views."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.registry import MODELS
from mmkd.utils.indices import check_classes, check_labels
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_logits, check_several

LEAST_NORM = 1e-8


@MODELS.register_module()
class SSKDLoss(nn.Module):
    """Imitate the teacher on rotated images and on their similarities.

    Rows are image-major: row R n + r is view r of image n, r = 0 upright.
    S = cos(rotated, upright), ((R - 1) N, N), are the similarities of
    embeddings. With KL_T = T^2 times the mean over rows of KL(teacher ||
    student), both softened by T,

    ``loss_kd`` = kd_weight KL_4 of the logits of the upright rows,
    ``loss_tf`` = tf_weight KL_4 of the logits of the rotated rows,
    ``loss_ss`` = ss_weight KL_0.5 of the rows of S.

    Where the teacher errs, only part is used: a row's error is the teacher's
    rank of the true class (``tf``) or of the own image (``ss``). All correct
    rows count, and floor(ratio * wrong) wrong ones of the least rank (at
    equal rank the first). The task loss (published weight: 0.1) is the
    student's own. Paper: https://arxiv.org/abs/2006.07114.

    Args:
        kd_weight: factor on ``loss_kd``.
        tf_weight: factor on ``loss_tf``.
        ss_weight: factor on ``loss_ss``.
        kd_temperature: of ``loss_kd``, > 0.
        tf_temperature: of ``loss_tf``, > 0.
        ss_temperature: of ``loss_ss``, > 0.
        tf_ratio: share of the wrong rows of ``loss_tf`` that is used.
        ss_ratio: the same of ``loss_ss``.
        num_rotations: R >= 2, as in the views.
        loss_weight: factor on all terms.

    Shape:
        student_logits, teacher_logits: (R N, K). Half precision is computed
            in float32. The teacher is detached.
        student_embeds, teacher_embeds: (R N, D), of any D and norm, e.g. of
            `EmbeddingMLP`.
        labels: (N,) integers, of the upright images.
        returns: dict of three scalars.
    """

    def __init__(
        self,
        kd_weight: float = 0.9,
        tf_weight: float = 2.7,
        ss_weight: float = 10.0,
        kd_temperature: float = 4.0,
        tf_temperature: float = 4.0,
        ss_temperature: float = 0.5,
        tf_ratio: float = 1.0,
        ss_ratio: float = 0.75,
        num_rotations: int = 4,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.weights = dict(kd=kd_weight, tf=tf_weight, ss=ss_weight)
        self.temperatures = dict(
            kd=kd_temperature, tf=tf_temperature, ss=ss_temperature
        )
        self.ratios = dict(tf=tf_ratio, ss=ss_ratio)
        for name, value in self.temperatures.items():
            check_positive('SSKDLoss', 4.0, **{f'{name}_temperature': value})
        for name, value in self.ratios.items():
            if not 0 <= value <= 1:
                raise ValueError(
                    f'SSKDLoss: {name}_ratio={value} must lie between 0 and '
                    f'1; set e.g. {name}_ratio=1.0'
                )
        if num_rotations < 2:
            raise ValueError(
                f'SSKDLoss: num_rotations={num_rotations} must be at least '
                '2; set it as in the views'
            )
        self.num_rotations = num_rotations
        self.loss_weight = loss_weight

    def forward(
        self,
        student_logits: torch.Tensor,
        student_embeds: torch.Tensor,
        teacher_logits: torch.Tensor,
        teacher_embeds: torch.Tensor,
        labels: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms.

        Raises:
            ValueError: tensors that do not fit each other.
        """
        check_logits('SSKDLoss', student_logits, teacher_logits)
        rows, turns = len(student_logits), self.num_rotations
        if not rows == len(student_embeds) == len(teacher_embeds) or (
            rows % turns
        ):
            raise ValueError(
                f'SSKDLoss: logits {tuple(student_logits.shape)} and '
                f'embeddings {tuple(student_embeds.shape)} and '
                f'{tuple(teacher_embeds.shape)} are not {turns} rows per '
                "image; set views=dict(type='mmkd.RotationViews', "
                f'num_rotations={turns})'
            )
        if any(
            rows.ndim != 2
            for rows in (student_logits, student_embeds, teacher_embeds)
        ):
            raise ValueError(
                f'SSKDLoss: logits {tuple(student_logits.shape)}, embeddings '
                f'{tuple(student_embeds.shape)} and '
                f'{tuple(teacher_embeds.shape)} must be (rows, width); '
                'choose taps behind the pooling'
            )
        check_several(
            'SSKDLoss',
            student_logits,
            'give networks with at least two classes',
        )
        check_labels('SSKDLoss', labels, rows // turns)
        check_classes('SSKDLoss', labels, student_logits.shape[1])
        with no_autocast(student_logits):
            upright_s, rotated_s = self._split(student_logits)
            upright_t, rotated_t = self._split(teacher_logits.detach())
            images = torch.arange(rows // turns, device=labels.device)
            terms = dict(
                kd=_kl(upright_s, upright_t, self.temperatures['kd']).mean(),
                tf=self._selected('tf', rotated_s, rotated_t, labels),
                ss=self._selected(
                    'ss',
                    self._similarities(student_embeds),
                    self._similarities(teacher_embeds.detach()),
                    images,
                ),
            )
        return {
            f'loss_{name}': self.loss_weight * self.weights[name] * term
            for name, term in terms.items()
        }

    def kept_rows(
        self, term: str, teacher: torch.Tensor, truth: torch.Tensor
    ) -> torch.Tensor:
        """Return which rotated rows ``term`` ('tf' or 'ss') uses.

        Args:
            term: whose ratio.
            teacher: its scores, ((R - 1) N, columns).
            truth: (N,), the true column of each image.

        Returns:
            ((R - 1) N,) boolean.
        """
        true = truth.long().repeat_interleave(self.num_rotations - 1)[:, None]
        rank = (teacher > teacher.gather(1, true)).sum(1)
        wrong = (rank > 0).sum()
        used = (self.ratios[term] * wrong.double()).floor()
        place = rank.argsort(stable=True).argsort()
        return place < len(rank) - wrong + used

    def _selected(
        self,
        term: str,
        student: torch.Tensor,
        teacher: torch.Tensor,
        truth: torch.Tensor,
    ) -> torch.Tensor:
        kl = _kl(student, teacher, self.temperatures[term])
        kept = self.kept_rows(term, teacher, truth)
        return (kl * kept).sum() / kept.sum().clamp(min=1)

    def _split(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the upright and the rotated rows."""
        views = at_least_float32(rows).unflatten(0, (-1, self.num_rotations))
        return views[:, 0], views[:, 1:].flatten(0, 1)

    def _similarities(self, embeds: torch.Tensor) -> torch.Tensor:
        upright, rotated = self._split(embeds)
        return rotated_similarities(rotated, upright)


def rotated_similarities(
    rotated: torch.Tensor, upright: torch.Tensor
) -> torch.Tensor:
    """Return the cosine of every rotated with every upright row.

    Norms are at least 1e-8, as in torch's cosine_similarity.
    """
    return (
        functional.normalize(rotated, dim=1, eps=LEAST_NORM)
        @ functional.normalize(upright, dim=1, eps=LEAST_NORM).T
    )


def _kl(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return T^2 KL(teacher || student) of every row."""
    log_p_s = (student / temperature).log_softmax(1)
    log_p_t = (teacher / temperature).log_softmax(1)
    return temperature**2 * (log_p_t.exp() * (log_p_t - log_p_s)).sum(1)
