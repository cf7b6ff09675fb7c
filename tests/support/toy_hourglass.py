"""Cohorts of small hourglasses on toy crops of 32x32 pixels."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.toys import JOINTS
from mmkd.toys.networks import heatmap_codec

SIZE = (32, 32)
EXCHANGE = dict(
    type='mmkd.HeatmapAggregationExchange',
    on=dict(feats='feats', maps='maps'),
    ramp_epochs=0,
    aggregation=dict(mid_channels=4),
)


def hourglass(stacks: int = 2, **backbone: Any) -> dict[str, Any]:
    """An mmpose network of small hourglasses."""
    joints = len(JOINTS)
    return dict(
        type='TopdownPoseEstimator',
        _scope_='mmpose',
        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3
        ),
        backbone=dict(
            type='mmkd.StackedHourglass',
            num_stacks=stacks,
            feat_channels=8,
            out_channels=joints,
            depth=2,
            **backbone,
        ),
        head=dict(
            type='CPMHead',
            in_channels=joints,
            out_channels=joints,
            num_stages=stacks,
            final_layer=None,
            loss=dict(
                type='KeypointMSELoss',
                use_target_weight=True,
                loss_weight=0.5,
            ),
            decoder=heatmap_codec(SIZE),
        ),
        test_cfg=dict(flip_test=False),
    )


def okdhp_config(**changes: Any) -> dict[str, Any]:
    """Three branches; the keys of ``cohort`` and ``exchange`` are merged."""
    cohort = dict(
        type='mmkd.HourglassCohort',
        peer=hourglass(),
        shared_stacks=1,
        individual_stacks=(1, 1, 1),
    )
    cohort.update(changes.pop('cohort', {}))
    exchange = dict(EXCHANGE, **changes.pop('exchange', {}))
    return copy.deepcopy(
        dict(
            type='mmkd.OnlineDistiller',
            cohort=cohort,
            taps=dict(feats='backbone.stem', maps='backbone'),
            exchange=exchange,
            **changes,
        )
    )


def build_okdhp(**changes: Any) -> Any:
    """Build `okdhp_config` in the scope of mmpose."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpose'):
        return ROOT_MODELS.build(okdhp_config(**changes))


class Copied(nn.Module):
    """Return a copy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()


def without_norms(model: nn.Module) -> nn.Module:
    """Take the batch norms out, so that halves of a batch make it up."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, Copied())  # what follows is in place
    return model
