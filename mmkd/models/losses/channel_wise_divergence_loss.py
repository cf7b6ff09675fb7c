"""Where in the image each channel is active (CWD)."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss, require_maps
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import (
    check_channels,
    check_feature_maps,
    check_several,
)

#: mode -> dimension of (N, C, P) over which the softmax runs
MODES = dict(channel=2, spatial=1)
NORMALIZERS = ('student_channels', 'teacher_channels')


@MODELS.register_module()
class ChannelWiseDivergenceLoss(FeaturePairLoss):
    """Imitate the softmax of each channel over the positions.

    p = softmax over the P positions of x / temperature, per image and
    channel;

    loss = temperature**2 / (N C) * sum_{n, c} KL(p_t || p_s).

    Published weights: 50 on the features before the classifier, 3 on the
    logits. Paper: https://arxiv.org/abs/2011.13256. (mmrazor's
    ``ChannelWiseDivergence`` divides by the channels after its adapter, as
    ``normalizer='teacher_channels'`` does.)

    Args:
        temperature: softening, > 0.
        student_channels: C_s, or ``'auto'``. With ``teacher_channels`` of
            another number, the student passes a 1x1 convolution without bias
            (``adapter``), which is trained with it.
        teacher_channels: C_t.
        loss_weight: factor on the returned value.
        normalizer: what C is: ``'student_channels'``, those before the
            adapter, as the published comparison; ``'teacher_channels'``, the
            mean over channels that are compared.
        mode: ``'channel'``, as above; ``'spatial'``: softmax over the
            channels of each position, mean over N and P.

    Shape:
        student, teacher: (N, C_s, h, w) and (N, C_t, h, w), or lists of such
            maps; of equal channels without adapter.
        returns: scalar.

    Raises:
        ValueError: sizes or channels differ, or a setting is unknown.
    """

    def __init__(
        self,
        temperature: float = 4.0,
        student_channels: int | None = None,
        teacher_channels: int | None = None,
        loss_weight: float = 1.0,
        normalizer: str = 'student_channels',
        mode: str = 'channel',
    ) -> None:
        super().__init__(loss_weight)
        owner = type(self).__name__
        check_positive(owner, 4.0, temperature=temperature)
        for key, value, known in (
            ('mode', mode, tuple(MODES)),
            ('normalizer', normalizer, NORMALIZERS),
        ):
            if value not in known:
                raise ValueError(
                    f'{owner}: {key}={value!r} is unknown; choose one of '
                    f'{known}'
                )
        if (student_channels is None) != (teacher_channels is None):
            raise ValueError(
                f'{owner}: student_channels={student_channels}, '
                f'teacher_channels={teacher_channels}: give both, or none'
            )
        self.temperature = temperature
        self.normalizer = normalizer
        self.mode = mode
        self.adapter: nn.Conv2d | None = None
        if student_channels != teacher_channels:
            self.adapter = nn.Conv2d(
                student_channels,  # type: ignore[arg-type]
                teacher_channels,  # type: ignore[arg-type]
                1,
                bias=False,
            )

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of maps."""
        owner = type(self).__name__
        require_maps(owner, student, teacher)
        check_feature_maps(owner, student, teacher)
        channels = student.shape[1]
        if self.adapter is not None:
            wanted = self.adapter.in_channels
            check_channels(owner, 'student', student, wanted)
            student = self.adapter(student.to(self.adapter.weight.dtype))
        if student.shape[1] != teacher.shape[1]:
            raise ValueError(
                f'{owner}: teacher predicts {teacher.shape[1]} classes, '
                f'student {student.shape[1]} (channels of '
                f'{tuple(teacher.shape)} and {tuple(student.shape)}); give '
                'logits the same num_classes in both networks; for features '
                f'set student_channels={channels}, '
                f'teacher_channels={teacher.shape[1]} (an adapter)'
            )
        dim = MODES[self.mode]
        cure = (
            'tap maps of several positions'
            if self.mode == 'channel'
            else "set mode='channel' for a head with one output"
        )
        student, teacher = student.flatten(2), teacher.flatten(2)
        check_several(owner, student, cure, dim)
        log_p_s = (student / self.temperature).log_softmax(dim)
        log_p_t = (teacher / self.temperature).log_softmax(dim)
        kl = (log_p_t.exp() * (log_p_t - log_p_s)).sum(dim).mean()
        if self.mode == 'channel' and self.normalizer == 'student_channels':
            kl = kl * (teacher.shape[1] / channels)
        return kl * self.temperature**2

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'temperature={self.temperature}, mode={self.mode!r}, '
            f'normalizer={self.normalizer!r}, {super().extra_repr()}'
        )
