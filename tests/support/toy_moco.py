"""Small encoders without a head, and momentum contrast of one or several."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.registry import MODELS

SHAPE = (3, 16, 16)


@MODELS.register_module(force=True)
class TinyBackbone(nn.Module):
    """One convolution, batch norm of groups, ReLU; or the images alone."""

    def __init__(self, channels: int = 4, group_size: int | None = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, 2, 1, bias=False)
        self.bn = (
            nn.BatchNorm2d(channels)
            if group_size is None
            else MODELS.build(
                dict(
                    type='mmkd.GroupedBatchNorm',
                    num_features=channels,
                    group_size=group_size,
                )
            )
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.bn(self.conv(images)).relu(),)

    def init_weights(self) -> None:
        """Stay as built."""


def encoder(**backbone: Any) -> dict[str, Any]:
    """An image classifier without a head."""
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=dict(dict(type='mmkd.TinyBackbone'), **backbone),
        neck=dict(type='GlobalAveragePooling'),
        data_preprocessor=dict(type='mmkd.MultiViewPreprocessor'),
    )


KEY = dict(momentum=0.9, buffers='own', view=1, shuffle=True)
EMBEDS = dict(
    type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=5, num_layers=1
)
LOSS = dict(type='mmkd.MoCoMutualContrastiveLoss', feat_dim=5, queue_size=24)


def mcl_config(
    peers: int = 2,
    network: dict | None = None,
    key: dict | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """MCL on MoCo."""
    config = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[network or encoder()] * peers),
        peer_views=[0] * peers,
        followers=dict(key=dict(KEY, **(key or {}))),
        taps=dict(feats='neck'),
        aux_heads=dict(embeds=EMBEDS),
        exchange=dict(
            type='mmkd.LossExchange',
            on=dict(queries='embeds', keys='key.embeds'),
            loss=dict(LOSS, num_peers=peers),
        ),
        input_shape=SHAPE,
    )
    return copy.deepcopy({**config, **changes})


def moco_config(
    network: dict | None = None, key: dict | None = None, **changes: Any
) -> dict[str, Any]:
    """MoCo, one encoder."""
    config = dict(
        type='mmkd.OfflineDistiller',
        student=network or encoder(),
        teacher=dict(follow='student', **KEY, **(key or {})),
        taps=dict(feats='neck'),
        aux_heads=dict(embeds=EMBEDS),
        losses=dict(moco=dict(LOSS, on='embeds', num_peers=1)),
        input_shape=SHAPE,
    )
    return copy.deepcopy({**config, **changes})


def build(config: dict[str, Any]) -> Any:
    """Build and initialise, in training mode."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config)
    model.init_weights()
    return model.train()


def views(rows: int = 8, seed: int = 0) -> dict[str, Any]:
    """A batch of two views, without labels."""
    generator = torch.Generator().manual_seed(seed)
    return dict(
        inputs=[torch.randn(rows, *SHAPE, generator=generator) for _ in 'qk']
    )
