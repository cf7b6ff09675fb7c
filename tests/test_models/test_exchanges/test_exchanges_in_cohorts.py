"""Every exchange in a real cohort of each kind of network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.distillers.online import OnlineDistiller
from mmkd.toys import toy_batch, toy_network

SIZE = (32, 32)
CLASSIFIER = dict(feats='neck', trunk='backbone.layer3', logits='head.fc')
EMBEDS = dict(embeds=dict(type='mmkd.ContrastiveEmbedding', on='feats'))
EXCHANGES = dict(
    dml=dict(type='mmkd.MutualExchange'),
    cl_ilr=dict(type='mmkd.CollaborativeExchange'),
    one=dict(
        type='mmkd.GatedEnsembleExchange',
        on=dict(trunk='trunk', logits='logits'),
    ),
    okddip=dict(
        type='mmkd.DiversePeersExchange',
        on=dict(feats='feats', logits='logits'),
    ),
    ensemble=dict(type='mmkd.LogitEnsembleExchange', targets='last'),
    mcl=dict(
        type='mmkd.MutualContrastiveExchange',
        on='embeds',
        loss=dict(type='mmkd.MutualContrastiveLoss'),
    ),
    **{
        f'kdcl_{target}': dict(
            type='mmkd.KnowledgeCollaborationExchange', target=target
        )
        for target in ('naive', 'linear', 'minlogit', 'general', 'mean')
    },
)


def build(
    exchange: dict[str, Any],
    task: str = 'classification',
    taps: dict[str, Any] | None = None,
    count: int = 3,
) -> OnlineDistiller:
    torch.manual_seed(0)
    return OnlineDistiller(
        cohort=dict(type='mmkd.Cohort', peers=[toy_network(task)] * count),
        taps=taps or CLASSIFIER,
        aux_heads=EMBEDS if exchange.get('on') == 'embeds' else None,
        exchange=exchange,
        input_shape=(3, *SIZE),
    )


def step(distiller: OnlineDistiller, batch: dict[str, Any]) -> dict[str, Any]:
    data = distiller.data_preprocessor(batch, True)
    losses = distiller(**data, mode='loss')
    total, _ = distiller.parse_losses(losses)
    total.backward()
    return losses


@pytest.mark.parametrize('name', EXCHANGES)
def test_classifiers_learn_from_each_other(name: str) -> None:
    distiller = build(EXCHANGES[name])
    if name == 'kdcl_general':
        distiller.exchanges[0].set_covariance(torch.eye(3), step=0)
    batch = toy_batch('classification', 4, SIZE)
    for sample, label in zip(batch['data_samples'], (0, 1, 0, 1), strict=True):
        sample.set_gt_label(label)
    losses = step(distiller, batch)
    own = {f'peer{k}.loss_task' for k in range(3)}
    added = {key: v for key, v in losses.items() if key not in own}
    assert own < set(losses)
    assert any(value.item() > 0 for value in added.values()), added
    for key, parameter in distiller.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


LAST_LAYER = dict(
    segmentation='decode_head.conv_seg',
    detection='bbox_head.conv_cls',  # runs once per level
)
DENSE = ('dml', 'cl_ilr', 'ensemble', 'kdcl_mean')


@pytest.mark.parametrize('name', DENSE)
def test_detectors_exchange_lists_of_maps(name: str) -> None:
    taps = dict(logits=LAST_LAYER['detection'])
    distiller = build(EXCHANGES[name], 'detection', taps, 2)
    losses = step(distiller, toy_batch('detection', 2, (64, 64)))
    assert losses['peer1.loss_kd'] > 0


@pytest.mark.parametrize('name', ['dml', 'kdcl_linear', 'kdcl_minlogit'])
def test_segmentors_exchange_maps(name: str) -> None:
    taps = dict(logits=LAST_LAYER['segmentation'])
    distiller = build(EXCHANGES[name], 'segmentation', taps, 2)
    losses = step(distiller, toy_batch('segmentation', 2, SIZE))
    assert losses['peer0.loss_kd'] > 0 and losses['peer1.loss_kd'] > 0


def test_rules_refuse_lists_of_maps_when_built() -> None:
    taps = dict(logits=LAST_LAYER['detection'])
    with pytest.raises(ValueError, match="set target='mean'"):
        build(EXCHANGES['kdcl_linear'], 'detection', taps, 2)


def test_too_few_peers_are_refused_when_built() -> None:
    with pytest.raises(ValueError, match='at least 3 peers'):
        build(EXCHANGES['okddip'], count=2)
