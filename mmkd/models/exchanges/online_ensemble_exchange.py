"""Online ensemble model compression (OEM)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_cohort, check_roles, logits_of
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    mean_of,
)
from mmkd.models.losses.adapted_feature_mse_loss import AdaptedFeatureMSELoss
from mmkd.registry import MODELS
from mmkd.utils.settings import check_flags


@MODELS.register_module()
class OnlineEnsembleExchange(Exchange):
    """Students learn from their ensemble and from the widest one (OEM).

    z_E = 1/n sum_j z_j; m_jb is the map of student j after block b;
    L = alpha sum_j CE(z_j, y) + gamma sum_j KL_T(z_E || z_j)
        + beta sum_{j > 0} sum_b mean (A_jb(m_jb) - m_0b)^2,
    where KL_T is `KLDivLoss`, A_jb a 1x1 convolution
    (`AdaptedFeatureMSELoss`); z_E and m_0b are detached. alpha is
    ``task_weight`` of the distiller. Paper: https://arxiv.org/abs/2011.07449.

    Args:
        on: ``dict(maps=..., logits=...)``; maps are a list (N, C, H, W).
        temperature: T.
        kd_weight: gamma.
        feature_weight: beta.
        adaptation: without it maps are averaged over channels, see
            `AdaptedFeatureMSELoss`.
        scale_t2: let KL_T have the factor T^2, as in the authors' code; the
            printed equation has none.
        others: see `Exchange`.
    """

    def __init__(
        self,
        on: Mapping[str, str],
        temperature: float = 2.0,
        kd_weight: float = 0.15,
        feature_weight: float = 0.15,
        adaptation: bool = True,
        scale_t2: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, **others)
        check_roles(self, 'maps', 'logits')
        check_flags(
            type(self).__name__, adaptation=adaptation, scale_t2=scale_t2
        )
        self.kd_weight = kd_weight if scale_t2 else kd_weight / temperature**2
        self.feature_weight = feature_weight
        self.adaptation = adaptation

    def setup(self, spec: CohortSpec) -> None:
        """Build the adaptation layers of every compressed student.

        Raises:
            ValueError: the maps are not known before training.
        """
        check_cohort(self, spec)
        found = [_channels(shapes.get('maps')) for shapes in spec.shapes]
        if not found or not all(found):
            raise ValueError(
                'OnlineEnsembleExchange: the channels of "maps" are not known '
                'before training; give model.input_shape=(C, H, W) for a dry '
                'run, and taps on maps (N, C, H, W)'
            )
        widest, *others = found
        self.feature_losses = nn.ModuleList(
            AdaptedFeatureMSELoss(own, widest, self.adaptation)
            for own in others
        )

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer per student, from the mean of all."""
        mean = mean_of(logits_of(self, peers))
        return [Transfer(j, mean, self.kd_weight) for j, _ in enumerate(peers)]

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return the feature loss of every compressed student."""
        widest, *others = (peer['maps'] for peer in peers)
        return {
            f'peer{j}.loss_feature': self.feature_weight * loss(own, widest)
            for j, (loss, own) in enumerate(
                zip(self.feature_losses, others, strict=True), 1
            )
        }


def _channels(shapes: Any) -> list[int]:
    """Return the channels of all maps; empty if one is no map."""
    if shapes is None:
        return []
    if isinstance(shapes, torch.Size):
        shapes = [shapes]
    return [s[1] for s in shapes] if all(len(s) == 4 for s in shapes) else []
