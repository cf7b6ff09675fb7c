"""Small cohorts of L-MCL, and their meta step without a runner."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

import mmkd.models  # noqa: F401
from mmkd.engine.hooks import MetaOptimizationHook
from mmkd.toys import toy_batch, toy_network

SIZE = (32, 32)
LABELS = [0, 1, 0, 1]


def small_network(width: int = 4, num_classes: int = 7) -> dict[str, Any]:
    """A CIFAR ResNet-8 as narrow as ``width``."""
    pixels = dict(mean=[127.5] * 3, std=[64.0] * 3)
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        data_preprocessor=dict(
            type='ClsDataPreprocessor',
            num_classes=num_classes,
            to_rgb=True,
            **pixels,
        ),
        backbone=dict(
            type='mmkd.CIFARResNet',
            depth=8,
            stem_channels=width,
            base_channels=width,
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=num_classes,
            in_channels=4 * width,
            topk=(1,),
        ),
    )


def lmcl_config(
    peers: Any = 2, stages: Any = 'auto', **changes: Any
) -> dict[str, Any]:
    """The config of a cohort of L-MCL; ``peers`` a number or networks."""
    if isinstance(peers, int):
        peers = [small_network() for _ in range(peers)]
    loss = changes.pop('loss', {})
    hooked = changes.pop('exchange', {})
    config = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=peers),
        taps=dict(
            stages=['backbone.layer{1,2}'], feats='neck', logits='head.fc'
        ),
        aux_heads=dict(
            refined=dict(
                type='mmkd.FeatureRefinement',
                on=['stages', 'feats'],
                stages=stages,
            ),
            stage_logits=dict(
                type='mmkd.StageClassifiers', on=['refined', 'logits']
            ),
            embeds=dict(type='mmkd.StageEmbeddings', on='refined', feat_dim=8),
            aggregated=dict(
                type='mmkd.LogitAggregator', on=['refined', 'stage_logits']
            ),
        ),
        exchange={
            'type': 'mmkd.LayerwiseMutualContrastiveExchange',
            'on': dict(
                feats='refined',
                logits='stage_logits',
                embeds='embeds',
                aggregated='aggregated',
            ),
            'loss': {'type': 'mmkd.LayerwiseMutualContrastiveLoss', **loss},
            'matching': dict(type='mmkd.LayerMatchingNetwork', proj_dim=8),
            'logit_loss': dict(type='mmkd.AggregatedLogitKDLoss'),
            **hooked,
        },
        input_shape=(3, *SIZE),
    )
    return copy.deepcopy({**config, **changes})


def build_lmcl(*args: Any, **changes: Any) -> Any:
    """Build `lmcl_config` in mmpretrain's scope, weights initialised."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = ROOT_MODELS.build(lmcl_config(*args, **changes))
        model.init_weights()
    return model.train()


def lmcl_batch(model: Any, labels: Any = LABELS) -> dict[str, Any]:
    """A preprocessed batch with these labels."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        raw = toy_batch('classification', len(labels), SIZE)
    for index, label in enumerate(labels):
        raw['data_samples'][index].set_gt_label(label)
    return model.data_preprocessor(raw, True)


def meta_hook(model: Any, **settings: Any) -> MetaOptimizationHook:
    """A hook that is ready for ``step`` and ``gradient``."""
    hook = MetaOptimizationHook(**settings)
    hook.attach(model, lr=0.05)
    return hook


def main_groups(model: Any, lr: float = 0.05) -> list[dict[str, Any]]:
    """The parameter groups of a main optimizer."""
    return [dict(params=list(model.parameters()), lr=lr, weight_decay=5e-4)]


def heterogeneous_config(**changes: Any) -> dict[str, Any]:
    """A CIFAR ResNet beside an ImageNet ResNet of four stages."""
    peers = [small_network(), toy_network('classification', 4)]
    config = lmcl_config(peers, **changes)
    config['taps']['stages'] = dict(
        peer0=['backbone.layer{1,2}'], peer1=['backbone.layer{2,3}']
    )
    refined = config['aux_heads']['refined']
    config['aux_heads']['refined'] = dict(
        peer0=dict(refined),
        peer1={**refined, 'stages': ['layer2', 'layer3'], 'stage_depths': 1},
    )
    return config
