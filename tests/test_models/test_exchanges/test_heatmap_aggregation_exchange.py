"""Any heat-map network in branches, the ramp, and mistakes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope

from mmkd.models.exchanges import CohortSpec, HeatmapAggregationExchange
from mmkd.models.exchanges.heatmap_aggregation_exchange import own_maps
from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_network
from tests.references import okdhp as reference
from tests.support.toy_cohort import batch_for, build_cohort, total
from tests.support.toy_hourglass import EXCHANGE, build_okdhp, hourglass

ON = EXCHANGE['on']
GENERIC = dict(
    taps=dict(feats='backbone', maps='head.final_layer'),
    exchange=EXCHANGE,
    cohort=dict(shared=['backbone']),
    input_shape=(3, 64, 64),
)
HRNET = dict(
    type='HRNet',
    in_channels=3,
    extra={
        f'stage{k}': dict(
            num_modules=1,
            num_branches=k,
            block='BOTTLENECK' if k == 1 else 'BASIC',
            num_blocks=(1,) * k,
            num_channels=(4, 8, 16, 32)[:k],
        )
        for k in range(1, 5)
    },
)


def generic(network: Any = None, **changes: Any) -> Any:
    network = network or toy_network('pose', 4)
    peers = [copy.deepcopy(network) for _ in range(3)]
    return build_cohort('pose', peers, **{**GENERIC, **changes})


def hrnet() -> dict[str, Any]:
    network = toy_network('pose', 4)
    network.backbone = HRNET
    network.head.update(in_channels=4, deconv_out_channels=None)
    network.head.pop('deconv_kernel_sizes')
    return network


@pytest.mark.parametrize('make', [lambda: toy_network('pose', 4), hrnet])
def test_any_network_of_heat_maps_gets_branches(make: Any) -> None:
    """The encoder is shared and runs once, every branch has a head."""
    model = generic(make()).train()
    first, *others = (peer.backbone for peer in model.cohort.peers)
    assert all(other is first for other in others)
    batch = batch_for(model, 'pose', size=(64, 64))
    losses = model(**batch, mode='loss')
    seen = model.observe(**batch).tensors
    maps = [seen[f'peer{k}']['maps'] for k in range(3)]
    unit = model.exchanges[0].aggregation
    ensemble, _ = unit(seen['peer0']['feats'], maps)
    weight = torch.cat(
        [s.gt_instance_labels.keypoint_weights for s in batch['data_samples']]
    )
    for k in range(3):
        expected = 2 * reference.pixelwise_kl(
            maps[k], ensemble, weight[..., None]
        )
        torch.testing.assert_close(
            losses[f'peer{k}.loss_kd'], expected, rtol=1e-3, atol=1e-7
        )
    total(losses).backward()
    assert all(p.grad is not None for p in model.parameters())
    with DefaultScope.overwrite_default_scope('mmpose'):
        plain = build_network(make())
    plain.load_state_dict(model.cohort[1].state_dict())


def test_golden_ramp(golden: Any) -> None:
    case = golden('okdhp', 'rampup')
    for key in ('length60', 'length90', 'length0'):
        exchange = HeatmapAggregationExchange(
            ON, ramp_epochs=int(key.removeprefix('length'))
        )
        found = [
            exchange.ramp({'epoch': int(e)}) for e in case['epoch'].tolist()
        ]
        assert found == pytest.approx(case[key].tolist(), rel=1e-9)


def test_defaults_are_the_published_ones() -> None:
    exchange = HeatmapAggregationExchange(ON)
    assert exchange.auxiliary_weight == 1.0
    assert (exchange.loss_weight, exchange.ramp_epochs) == (2.0, 90)
    loss = exchange.transfer_loss
    assert (loss.temperature, loss.detach_target) == (1.0, False)
    detached = HeatmapAggregationExchange(ON, detach_target=True)
    assert detached.transfer_loss.detach_target


def test_maps_that_are_shared_are_those_of_the_first() -> None:
    a, b, c, d = (torch.zeros(1) for _ in range(4))
    peers = [dict(maps=[a, b]), dict(maps=[a, c]), dict(maps=d)]
    found = own_maps(peers)
    assert [[id(m) for m in maps] for maps in found] == [
        [id(a), id(b)],
        [id(c)],
        [id(d)],
    ]


def test_tail_is_the_end_of_the_list_of_all() -> None:
    """As released: with 3 x 2 stacks the first branch has no part."""
    exchange = HeatmapAggregationExchange(ON, ensemble_maps='tail')
    shapes = dict(feats=torch.Size([1, 4, 8, 8]))
    shapes['maps'] = [torch.Size([1, 2, 8, 8])] * 2
    exchange.setup(CohortSpec(3, [shapes] * 3))
    maps = list(torch.rand(6, 1, 2, 8, 8))
    feats = torch.randn(1, 4, 8, 8)
    peers = [dict(feats=feats, maps=maps[k : k + 2]) for k in (0, 2, 4)]
    exchange.eval()
    found = exchange.auxiliary(peers, {})['aggregated']
    attention = exchange.aggregation.attention(feats)
    expected = reference.ensemble(maps[3:], attention)
    torch.testing.assert_close(found, expected)


# -- mistakes ----------------------------------------------------------------


def test_branches_with_other_joints_or_sizes() -> None:
    first, second = hourglass(), hourglass()
    second['backbone']['out_channels'] = 5
    second['head']['out_channels'] = 5
    options = dict(
        taps=dict(feats='backbone.stem', maps='backbone'),
        exchange=EXCHANGE,
        input_shape=(3, 32, 32),
    )
    words = r'"maps" \(on.maps\) differ: 14x8x8 of peer0, 5x8x8 of peer1'
    with pytest.raises(ValueError, match=words):
        build_cohort('pose', [first, second], **options)
    with pytest.raises(ValueError, match='out_channels=14 is the number of j'):
        unit = build_okdhp().exchanges[0].aggregation
        unit(torch.zeros(2, 8, 8, 8), list(torch.zeros(3, 2, 5, 8, 8)))
    small = toy_network('pose', 4)
    small.head.update(deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4))
    words = '14x16x16 of peer0, 14x8x8 of peer1.*same out_channels and heat'
    with pytest.raises(ValueError, match=words):
        build_cohort('pose', [toy_network('pose', 4), small], **GENERIC)


def test_heads_without_heat_maps() -> None:
    simcc = toy_network('pose', 4)
    simcc.head = dict(
        type='RTMCCHead',
        in_channels=32,
        out_channels=14,
        input_size=(64, 64),
        in_featuremap_size=(2, 2),
        simcc_split_ratio=2.0,
        final_layer_kernel_size=1,
        gau_cfg=dict(
            hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0,
            drop_path=0.0, act_fn='SiLU', use_rel_bias=False, pos_enc=False,
        ),
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=dict(
            type='SimCCLabel', input_size=(64, 64), sigma=(2.0, 2.0),
            simcc_split_ratio=2.0, normalize=False, use_dark=False,
        ),
    )  # fmt: skip
    words = r'peer0 is \(2, 14, 128\): these are no heat maps.*SimCC'
    with pytest.raises(ValueError, match=words):
        generic(
            simcc,
            taps=dict(feats='backbone', maps='head.cls_x'),
        )


def test_features_of_several_stages() -> None:
    network = toy_network('pose', 4)
    with pytest.raises(ValueError, match='not one map'):
        generic(
            network,
            taps=dict(feats=['backbone.layer{3,4}'], maps='head.final_layer'),
        )


@pytest.mark.parametrize(
    ('cohort', 'words'),
    [
        (dict(individual_stacks=(2,)), 'at least two numbers'),
        (dict(individual_stacks=3), 'must be a list of at least two'),
        (dict(individual_stacks=(1, 0)), 'every branch needs a stack'),
        (dict(shared_stacks=-1), 'from 0 on'),
        (dict(shared_stacks=(1, 1)), 'of 2 level.*cohort.tree=None of 1'),
        (
            dict(peer=toy_network('pose', 4)),
            r"backbone has no num_stacks.*shared=\['backbone'\]",
        ),
        (dict(peer=None), 'give a model dict, or the name'),
    ],
)
def test_cohorts(cohort: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        build_okdhp(cohort=cohort)


def test_a_loss_for_every_stage() -> None:
    peer = hourglass()
    peer['head']['loss'] = [peer['head']['loss']] * 2
    with pytest.raises(ValueError, match='head.loss is a list.*give one loss'):
        build_okdhp(cohort=dict(peer=peer))


@pytest.mark.parametrize(
    ('exchange', 'words'),
    [
        (dict(ensemble_maps='all'), 'one of last, tail'),
        (dict(aggregation=dict(variant='mean')), 'one of sum, concat'),
        (dict(on=dict(maps='maps')), 'feats'),
        (dict(ramp_epochs=-1), 'must not be negative'),
    ],
)
def test_settings(exchange: Any, words: str) -> None:
    config = {**copy.deepcopy(EXCHANGE), **exchange}
    shapes = dict(
        feats=torch.Size([1, 4, 8, 8]), maps=torch.Size([1, 2, 8, 8])
    )
    with pytest.raises(ValueError, match=words):
        MODELS.build(config).setup(CohortSpec(2, [shapes] * 2))


def test_an_image_size_that_hourglasses_cannot_halve() -> None:
    words = r'images of 36x32 give maps of 9x8.*divisible by 16'
    with pytest.raises(ValueError, match=words):
        build_okdhp(input_shape=(3, 36, 32))
