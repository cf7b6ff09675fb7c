"""Online knowledge distillation of pose networks (OKDHP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_roles, require_maps
from mmkd.models.exchanges.transfer import Batch, CohortSpec, Peers, Tensors
from mmkd.registry import MODELS
from mmkd.utils.settings import require_dict

ENSEMBLES = ('last', 'tail')


@MODELS.register_module()
class HeatmapAggregationExchange(Exchange):
    """Branches learn from their heat maps, combined joint by joint (OKDHP).

    e = `FeatureAggregationUnit` of the last heat maps of all peers, weighted
    by what the features f of peer 0 say;
    L = sum_h MSE(h, g) + alpha MSE(e, g) + beta r sum_h KL(e || h),
    where h are the heat maps of all stacks of all peers, those of a shared
    stack once; g the truth; MSE the task loss of the networks; r the ramp;
    KL `PixelwiseKLLoss` with the joints' weights. Nothing is detached, as
    in the authors' code: the last term trains e, too. e is the auxiliary
    classifier ``aggregated``. Paper: https://arxiv.org/abs/2108.02092.

    Args:
        on: ``dict(feats=..., maps=...)``: a map (B, C, h, w) that the peers
            share, and the heat maps (B, J, H, W), or a list of those.
        ens_weight: alpha.
        loss_weight: beta.
        ramp_epochs: of r.
        temperature: of KL; 1 is the published one.
        detach_target: keep the last term from training e.
        ensemble_maps: ``'last'``: of every peer; ``'tail'``: the last T of
            the list of all, which is what the released code does: with two
            stacks for each of three peers, these are not of peer 0.
        aggregation: dict of a `FeatureAggregationUnit`; channels, joints
            and branches are filled in.
        transfer_loss: dict of a loss (heat maps, e, joints' weights)
            instead of `PixelwiseKLLoss`.
        init_cfg: see mmengine's BaseModule.

    Raises:
        ValueError: a setting or a shape does not fit.
    """

    main_role = 'maps'
    auxiliary_names = ('aggregated',)

    def __init__(
        self,
        on: Mapping[str, str],
        ens_weight: float = 1.0,
        loss_weight: float = 2.0,
        ramp_epochs: int = 90,
        temperature: float = 1.0,
        detach_target: bool = False,
        ensemble_maps: str = 'last',
        aggregation: Mapping[str, Any] | None = None,
        transfer_loss: Mapping[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if transfer_loss is None:
            transfer_loss = dict(
                type='mmkd.PixelwiseKLLoss',
                temperature=temperature,
                detach_target=detach_target,
            )
        super().__init__(
            on,
            loss_weight=loss_weight,
            ramp_epochs=ramp_epochs,
            detach_target=detach_target,
            transfer_loss=transfer_loss,
            init_cfg=init_cfg,
        )
        check_roles(self, 'feats', 'maps')
        if ensemble_maps not in ENSEMBLES:
            raise ValueError(
                f"{type(self).__name__}: ensemble_maps='{ensemble_maps}' is "
                f'not known; choose one of {", ".join(ENSEMBLES)}'
            )
        if aggregation is not None:
            require_dict('exchange.aggregation', aggregation, 'mid_channels=')
        self.auxiliary_weight = ens_weight
        self.ensemble_maps = ensemble_maps
        self.aggregation_config = dict(aggregation or {})

    def setup(self, spec: CohortSpec) -> None:
        """Build the unit.

        Raises:
            ValueError: the peers give no heat maps, or unlike ones.
        """
        for shapes in spec.shapes:
            require_maps(self, shapes, 'feats')
        seen = self._check_maps(
            [s['maps'] for s in spec.shapes if 'maps' in s]
        )
        config = {
            'type': 'mmkd.FeatureAggregationUnit',
            'num_branches': spec.num_peers,
            **self.aggregation_config,
        }
        if 'in_channels' not in config:
            config['in_channels'] = spec.channels('feats')[0]
        if 'out_channels' not in config and seen is not None:
            config['out_channels'] = seen[1]
        self.aggregation = ROOT_MODELS.build(config)

    def _check_maps(self, shapes: Sequence[Any]) -> torch.Size | None:
        """Return the one shape of all heat maps, if they were seen."""
        owner, tap = type(self).__name__, self.on['maps']
        every = [
            (f'peer{k}', one)
            for k, found in enumerate(shapes)
            for one in ([found] if isinstance(found, torch.Size) else found)
        ]
        for label, shape in every:
            if len(shape) != 4:
                raise ValueError(
                    f'{owner}: "{tap}" (on.maps) of {label} is '
                    f'{tuple(shape)}: these are no heat maps (B, J, H, W); '
                    'SimCC and regression heads give none: use a head that '
                    'does (HeatmapHead, CPMHead) and tap its last layer'
                )
        unlike = {shape[1:]: label for label, shape in reversed(every)}
        if len(unlike) > 1:
            found = ', '.join(
                f'{"x".join(map(str, shape))} of {label}'
                for shape, label in reversed(unlike.items())
            )
            raise ValueError(
                f'{owner}: the heat maps "{tap}" (on.maps) differ: {found} '
                '(joints x height x width); give all peers the same '
                'out_channels and heat-map size'
            )
        return every[0][1] if every else None

    def auxiliary(self, peers: Peers, batch: Batch) -> dict[str, Tensors]:
        """Return e.

        Raises:
            ValueError: the heat maps differ in shape.
        """
        own = own_maps(peers)
        last = [_as_list(peer['maps'])[-1] for peer in peers]
        if self.ensemble_maps == 'tail':
            last = [one for maps in own for one in maps][-len(peers) :]
        return {'aggregated': self.aggregation(peers[0]['feats'], last)[0]}

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return r sum_h KL(e || h) of every peer."""
        ramp, weight = self.ramp(batch), batch['target_weight']
        return {
            f'peer{k}.loss_kd': ramp
            * self.transfer_loss(maps, aux['aggregated'], weight)
            for k, maps in enumerate(own_maps(peers))
        }


def own_maps(peers: Peers) -> list[list[torch.Tensor]]:
    """Return the heat maps of every peer that no peer before it has.

    What peers share runs once, so a shared stack gives all the same tensor.
    """
    seen: set[int] = set()
    found = []
    for peer in peers:
        maps = [m for m in _as_list(peer['maps']) if id(m) not in seen]
        seen.update(map(id, maps))
        found.append(maps)
    return found


def _as_list(maps: Tensors) -> list[torch.Tensor]:
    return [maps] if isinstance(maps, torch.Tensor) else list(maps)
