"""Feature fusion learning (FFL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import (
    check_cohort,
    check_roles,
    logits_of,
    require_maps,
)
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
    mean_of,
)
from mmkd.models.heads.feature_fusion_head import check_sizes
from mmkd.registry import MODELS
from mmkd.utils.settings import require_dict


@MODELS.register_module()
class FeatureFusionExchange(Exchange):
    """Peers and a classifier of their fused maps teach each other (FFL).

    z_f = `FeatureFusionHead` of the peers' last maps;
    L = sum_k CE(z_k, y) + CE(z_f, y)
        + w [KL_T(mean_k z_k || z_f) + sum_k KL_T(z_f || z_k)],
    where KL_T is `KLDivLoss`. Targets are detached; the maps are not, so
    what trains z_f trains the peers, too. The fused classifier is the
    auxiliary classifier ``fused``, which can be deployed ("FFL"; a peer is
    "FFL-S"). ``loss_weight=0.0`` is the paper's fusion without mutual
    learning. Paper: https://arxiv.org/abs/1904.09058.

    Segmentation and pose, our extension: where the logits are maps, so are
    the fused ones. The tapped features need their height and width, e.g.
    the input of the last layer. For heat maps give a ``transfer_loss``.

    Args:
        on: ``dict(feats=..., logits=...)``; feats are maps (N, C, H, W).
        temperature: T.
        ramp_epochs: of w.
        target_epsilon: of `KLDivLoss`; the authors' code has 1e-7.
        fusion: dict of a `FeatureFusionHead`; channels, classes and
            ``dense`` are filled in from what the dry run saw.
        others: see `Exchange`.
    """

    auxiliary_names = ('fused',)

    def __init__(
        self,
        on: Mapping[str, str],
        temperature: float = 3.0,
        ramp_epochs: int = 80,
        target_epsilon: float = 1e-7,
        fusion: Mapping[str, Any] | None = None,
        detach_target: bool = True,
        transfer_loss: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        if transfer_loss is None:
            transfer_loss = dict(
                type='mmkd.KLDivLoss',
                temperature=temperature,
                target_epsilon=target_epsilon,
                detach_target=detach_target,
            )
        super().__init__(
            on,
            ramp_epochs=ramp_epochs,
            detach_target=detach_target,
            transfer_loss=transfer_loss,
            **others,
        )
        check_roles(self, 'feats', 'logits')
        if fusion is not None:
            require_dict('exchange.fusion', fusion, "resize='pool'")
        self.fusion_config = dict(fusion or {})

    def setup(self, spec: CohortSpec) -> None:
        """Build the fusion head.

        Raises:
            ValueError: the maps of the peers cannot be fused.
        """
        check_cohort(self, spec)
        for shapes in spec.shapes:
            require_maps(self, shapes, 'feats')
        config = {'type': 'mmkd.FeatureFusionHead', **self.fusion_config}
        seen = [shapes['feats'] for shapes in spec.shapes if 'feats' in shapes]
        check_sizes(seen, config.get('resize'))
        if 'in_channels' not in config:
            config['in_channels'] = spec.channels('feats')
        if 'num_classes' not in config:
            config['num_classes'] = spec.channels('logits')[0]
        if spec.shapes and 'logits' in spec.shapes[0]:
            config.setdefault('dense', len(spec.shapes[0]['logits']) == 4)
        self.fusion = ROOT_MODELS.build(config)

    def auxiliary(self, peers: Peers, batch: Batch) -> dict[str, Tensors]:
        """Return the fused logits.

        Raises:
            ValueError: they are not of the shape of the peers' logits.
        """
        logits = logits_of(self, peers)
        fused = self.fusion([peer['feats'] for peer in peers])
        found = getattr(logits[0], 'shape', None)
        if fused.shape != found:
            found = 'a list of maps' if found is None else tuple(found)
            raise ValueError(
                f'{type(self).__name__}: the fused logits are '
                f'{tuple(fused.shape)}, those of the peers {found}; for maps '
                'of logits tap features of the same height and width (the '
                "last layer's input, as 'decode_head.conv_seg:input')"
            )
        return {'fused': fused}

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer to the fused classifier, and one per peer."""
        mean = mean_of(logits_of(self, peers))
        back = [Transfer(k, aux['fused']) for k in range(len(peers))]
        return [Transfer('fused', mean), *back]
