"""Factor transfer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from mmkd.checkpoints.read import read_checkpoint, strip_prefix
from mmkd.models.losses.feature_pair_loss import (
    FeaturePairLoss,
    pool_to_smaller,
    require_maps,
)
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.models.necks.factor_transfer import Paraphraser, Translator
from mmkd.registry import MODELS
from mmkd.utils.shapes import check_input_channels


@MODELS.register_module()
class FTLoss(FeaturePairLoss):
    """Imitate the teacher's factor, a compressed form of its last map.

    loss = mean |q(x_s) - q(x_t)| with q(x) = vec(mean_c x^2) / its L2 norm,
    where x_t is the code of a `Paraphraser`, trained before by
    `ParaphraserLoss` and frozen here, and x_s that of a `Translator`, trained
    with the student. Without channels the features themselves are the
    factors. Published weight 200. Paper: https://arxiv.org/abs/1802.04977,
    with the factors of the CRD benchmark (mean over channels).

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.
        factor_channels: channels of the factors; None is half the teacher's.
        paraphraser: checkpoint of the training with `ParaphraserLoss`. None
            leaves random weights, which only a test can want.
        paraphraser_key: name of the `ParaphraserLoss` in that training.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, H, W) and (N, C_t, H', W'); the larger
            factor is average-pooled to the smaller.
        returns: scalar.

    Raises:
        ValueError: only one of the two channels is given.
        FileNotFoundError: there is no such checkpoint.
        KeyError: the checkpoint has no paraphraser of that name.
    """

    def __init__(
        self,
        student_channels: int | None = None,
        teacher_channels: int | None = None,
        factor_channels: int | None = None,
        paraphraser: str | Path | None = None,
        paraphraser_key: str = 'paraphrase',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.translator: nn.Module = nn.Identity()
        self.paraphraser: nn.Module = nn.Identity()
        if student_channels is None and teacher_channels is None:
            return
        if student_channels is None or teacher_channels is None:
            raise ValueError(
                f'FTLoss: student_channels={student_channels}, '
                f'teacher_channels={teacher_channels}; give both for '
                'translator and paraphraser, or none'
            )
        factor_channels = factor_channels or teacher_channels // 2
        self.translator = Translator(student_channels, factor_channels)
        self.paraphraser = Paraphraser(teacher_channels, factor_channels)
        if paraphraser is not None:
            self._load(paraphraser, paraphraser_key)
        self.paraphraser.requires_grad_(False)

    def pair_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, index: int
    ) -> torch.Tensor:
        """Return the loss of one pair of maps."""
        require_maps('FTLoss', student, teacher)
        check_input_channels('FTLoss', 'student', student, self.translator)
        check_input_channels('FTLoss', 'teacher', teacher, self.paraphraser)
        code_s, code_t = pool_to_smaller(
            self.translator(student), self.paraphraser(teacher)
        )
        return functional.l1_loss(unit_energy(code_s), unit_energy(code_t))

    def _load(self, path: str | Path, key: str) -> None:
        state = read_checkpoint(path)['state_dict']
        weights = strip_prefix(state, f'losses.{key}.paraphraser.')
        if not weights:
            raise KeyError(
                f'FTLoss: paraphraser="{path}" has no weights '
                f'"losses.{key}.paraphraser.…"; give the checkpoint of a '
                'training with ParaphraserLoss, and its name there as '
                'paraphraser_key'
            )
        self.paraphraser.load_state_dict(weights)


@MODELS.register_module()
class ParaphraserLoss(nn.Module):
    """Train the paraphraser of factor transfer: squared error of its output.

    First phase of `FTLoss`; it reads the teacher alone
    (``on=dict(teacher='last')``).

    Args:
        teacher_channels: channels of the teacher's map.
        factor_channels: channels of the code; None is half the teacher's.
        loss_weight: factor on the returned value.

    Shape:
        teacher: (N, C, H, W).
        returns: scalar, mean over all elements.
    """

    def __init__(
        self,
        teacher_channels: int,
        factor_channels: int | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.paraphraser = Paraphraser(teacher_channels, factor_channels)

    def forward(self, teacher: torch.Tensor) -> torch.Tensor:
        """Compute the weighted loss.

        Raises:
            ValueError: not a map, or of other channels.
        """
        with no_autocast(teacher):
            maps = at_least_float32(teacher.detach())
            require_maps('ParaphraserLoss', maps, maps)
            check_input_channels(
                'ParaphraserLoss', 'teacher', maps, self.paraphraser
            )
            output = self.paraphraser.reconstruct(maps)
            return self.loss_weight * functional.mse_loss(output, maps)


def unit_energy(factor: torch.Tensor) -> torch.Tensor:
    """Return q(x), (N, H W), of a factor (N, F, H, W)."""
    return functional.normalize(factor.square().mean(1).flatten(1), dim=1)
