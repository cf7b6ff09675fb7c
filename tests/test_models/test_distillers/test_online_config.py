"""What a cohort's config may say, and what is refused when it is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.distillers.online import OnlineDistiller
from mmkd.models.exchanges import Exchange
from mmkd.registry import MODELS
from mmkd.toys import toy_network
from tests.support.toy_cohort import TinyMeanExchange, batch_for, build_cohort

FEATS = dict(feats='neck', logits='head.fc')
LINEAR = dict(type='mmkd.TinyLinear', on='feats')


@MODELS.register_module(force=True)
class TinyForgetfulExchange(Exchange):
    """Reads a role that its ``on`` does not name."""

    def extra_losses(self, peers: Any, aux: Any, batch: Any) -> dict[str, Any]:
        return dict(loss_x=sum(peer['feats'].sum() for peer in peers))


@MODELS.register_module(force=True)
class TinyUnnamedExchange(TinyMeanExchange):
    """Says too little about its auxiliary classifiers."""

    auxiliary_names = ()


def other_pixels() -> Any:
    config = toy_network('classification', 4)
    config.data_preprocessor.mean = [0.0, 0.0, 0.0]
    return config


@pytest.mark.parametrize(
    ('changes', 'error', 'words'),
    [
        (dict(deploy=2), ValueError, 'deploy=2: the cohort has 2 peers; give'),
        (dict(deploy=-3), ValueError, 'deploy=-3.*from 0 to 1, or a negative'),
        (dict(deploy=0.5), ValueError, r'deploy=0\.5: the cohort has 2'),
        (
            dict(deploy='gated'),
            ValueError,
            r"deploy='gated' is neither 'best', 'all' nor an aux.*\(none\)",
        ),
        (
            dict(
                deploy='gated',
                exchange=dict(type='mmkd.TinyMeanExchange'),
            ),
            ValueError,
            r'\(mean\); give a peer index from 0 to 1',
        ),
        (
            dict(taps=dict(logits='head.fcc')),
            KeyError,
            r'peer0: tap logits="head\.fcc".*nearest: head\.fc.*peer0=',
        ),
        (
            dict(taps=dict(logits=dict(peer0='head.fc', peer1='head.f'))),
            KeyError,
            r'peer1: tap logits="head\.f".*nearest',
        ),
        (
            dict(taps=dict(logits=dict(peer1='head.fc'))),
            KeyError,
            r'taps\.logits names peer1; the cohort has 2 peers: name peer0',
        ),
        (
            dict(taps=dict(feats='neck')),
            KeyError,
            r'MutualExchange reads "logits" \(on\.logits\).*known: feats',
        ),
        (
            dict(exchange=dict(type='mmkd.TinyForgetfulExchange')),
            KeyError,
            "asks for 'feats', but it is given logits: name it in exchange",
        ),
        (
            dict(exchange=dict(type='mmkd.TinyUnnamedExchange')),
            ValueError,
            r'auxiliary\(\) gives mean, but auxiliary_names is \(\)',
        ),
        (
            dict(exchange=dict(type='mmkd.KLDivLoss')),
            TypeError,
            r'model\.exchange is a KLDivLoss.*mmkd\.LossExchange',
        ),
        (
            dict(taps=FEATS, aux_heads=dict(idle=LINEAR)),
            ValueError,
            r'aux_heads\.idle is read by no exchange: remove it',
        ),
        (
            dict(taps=FEATS, aux_heads=dict(logits=LINEAR)),
            ValueError,
            '"logits" is both a tap and an auxiliary head: rename one',
        ),
        (
            dict(
                taps=dict(feats='neck'),
                aux_heads=dict(logits=dict(type='mmkd.TinyLinear')),
            ),
            KeyError,
            r'aux_heads\.logits has no key "on"',
        ),
        (
            dict(
                taps=dict(feats='neck'),
                aux_heads=dict(logits=dict(LINEAR, on='maps')),
            ),
            KeyError,
            'aux_heads read "maps".*known: feats, logits; correct this "on"',
        ),
        (
            dict(
                taps=dict(feats='neck'),
                aux_heads=dict(logits=dict(LINEAR, in_channels=5)),
            ),
            ValueError,
            r'aux_heads\.logits\.in_channels=5, but .* set in_channels=32',
        ),
        (dict(task_weight=[1.0]), ValueError, 'has 1 entries.*has 2 peers'),
        (
            dict(peers=[toy_network('classification', 4), other_pixels()]),
            ValueError,
            r'peers differ: mean is \[127\.5.*model\.data_preprocessor=dict',
        ),
        (dict(student=1), TypeError, r'does not know model\.student'),
        (dict(backbone=1), ValueError, 'keys of an ordinary network: backb'),
        (
            dict(cohort=dict(shared=['backbone.layer2'])),
            ValueError,
            r'layer2 is shared, but backbone\.conv1, which runs before it',
        ),
    ],
)
def test_mistakes_are_named(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        build_cohort(**changes)


@pytest.mark.parametrize('task', ['classification', 'detection'])
def test_unequal_shapes_are_found_when_built(task: str) -> None:
    if task == 'classification':
        taps = dict(logits=dict(peer0='head.fc', peer1='neck'))
    else:
        taps = dict(logits=dict(peer0='bbox_head.conv_cls', peer1='neck'))
    with pytest.raises(ValueError, match='MutualExchange'):
        build_cohort(task, taps=taps)


def test_one_data_preprocessor_for_unlike_peers() -> None:
    peers = [toy_network('classification', 4), other_pixels()]
    given = dict(type='ClsDataPreprocessor', mean=[1.0] * 3, std=[2.0] * 3)
    model = build_cohort(peers=peers, data_preprocessor=given)
    assert model.data_preprocessor.mean.flatten().tolist() == [1.0] * 3
    for peer in model.cohort.peers:
        assert peer.data_preprocessor.mean.flatten().tolist() == [1.0] * 3


def test_built_peers_and_a_data_preprocessor() -> None:
    peers = list(build_cohort().cohort.peers)
    given = dict(
        type='mmpretrain.ClsDataPreprocessor', mean=[1.0] * 3, std=[2.0] * 3
    )
    model = OnlineDistiller(
        dict(peers=peers),
        taps=dict(logits='head.fc'),
        data_preprocessor=given,
        input_shape=(3, 32, 32),
    )
    assert model.cohort[0] is peers[0]
    assert model.data_preprocessor.mean.flatten().tolist() == [1.0] * 3


@pytest.mark.parametrize(('deploy', 'index'), [(0, 0), (1, 1), (-1, 1)])
def test_deployed_peer(deploy: int, index: int) -> None:
    model = build_cohort(deploy=deploy)
    assert model.deployed is model.cohort[index]
    assert int(model.state_dict()['deployed_peer']) == index
    with pytest.raises(ValueError, match="set deploy='best' to let the val"):
        model.set_best_peer(0)


def test_config_decides_what_is_deployed_of_a_checkpoint() -> None:
    state = build_cohort(deploy=0).state_dict()
    model = build_cohort(deploy=1)
    model.load_state_dict(state)
    assert model.deployed is model.cohort[1]
    best = build_cohort(deploy='best')
    best.set_best_peer(1)
    again = build_cohort(deploy='best')
    again.load_state_dict(best.state_dict())
    assert again.deployed is again.cohort[1]


def test_auxiliary_classifiers_are_no_networks() -> None:
    model = build_cohort(
        exchange=dict(type='mmkd.TinyMeanExchange'), deploy='mean'
    )
    with pytest.raises(ValueError, match='set deploy to a peer index'):
        _ = model.deployed


def test_dry_run_changes_nothing() -> None:
    models = [build_cohort(dry_run=dry) for dry in (True, False)]
    draws = []
    for dry in (True, False):
        build_cohort(dry_run=dry)
        draws.append(torch.rand(1))
    assert torch.equal(*draws)
    first, second = (model.state_dict() for model in models)
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_dry_run_is_skipped_where_a_peer_does_not_run() -> None:
    model = build_cohort(input_shape=(3, 1, 1))
    assert model(**batch_for(model), mode='loss')['peer0.loss_kd'] > 0


def test_summary_says_what_is_shared() -> None:
    model = build_cohort(
        cohort=dict(shared=['stem'], scale_gradient=True),
        exchange=dict(type='mmkd.MutualExchange', ramp_epochs=5),
        deploy='best',
    )
    text = model.summary()
    for part in (
        'shared by peer0, peer1: backbone.conv1, backbone.bn1',
        'gradient / 2',
        'all together: 0.089 M parameters',
        'MutualExchange x 1, ramp over 5 epochs (logits)',
        'deployed: best',
    ):
        assert part in text
