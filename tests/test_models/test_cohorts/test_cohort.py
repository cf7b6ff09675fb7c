"""What a cohort refuses, and how it says so."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from mmkd.models.cohorts import Cohort
from mmkd.networks import build_network
from mmkd.toys import toy_network


def network(width: int = 4, num_classes: int = 7, **backbone: Any) -> Any:
    config = toy_network('classification', width)
    config.head.num_classes = num_classes
    config.backbone.update(backbone)
    return config


def test_peers_come_as_configs_or_modules() -> None:
    torch.manual_seed(0)
    built = build_network(network())
    cohort = Cohort([built, network()])
    assert len(cohort) == 2
    assert cohort[0] is built
    assert type(cohort[1]).__name__ == 'ImageClassifier'
    assert cohort.num_classes == 7
    assert not cohort.sharing.parts


def test_peers_start_from_different_weights() -> None:
    cohort = Cohort([network()] * 2)
    cohort.init_weights()
    first, second = (peer.state_dict() for peer in cohort.peers)
    key = 'backbone.layer1.0.conv1.weight'
    assert not torch.equal(first[key], second[key])


def test_init_cfg_of_peers_is_used() -> None:
    peer = network()
    peer.backbone.init_cfg = dict(type='Constant', val=0.5, layer='Conv2d')
    cohort = Cohort([peer] * 2)
    cohort.init_weights()
    for one in cohort.peers:
        assert bool((one.backbone.conv1.weight == 0.5).all())


@pytest.mark.parametrize(
    ('count', 'peers'), [(1, [network()]), (1, network()), (0, [])]
)
def test_one_peer_alone_is_refused(count: int, peers: Any) -> None:
    words = rf'cohort\.peers has {count} network.*give at least two'
    with pytest.raises(ValueError, match=words):
        Cohort(peers)


def test_one_module_twice_is_refused() -> None:
    built = build_network(network())
    with pytest.raises(ValueError, match='0 and 1 are one and the same mod'):
        Cohort([built, built])
    Cohort([built, copy.deepcopy(built)])


@pytest.mark.parametrize('task', ['classification', 'segmentation'])
def test_unequal_class_numbers_are_refused(task: str) -> None:
    other = toy_network(task, 4)
    head = other.get('head') or other.decode_head
    head.num_classes = 5
    words = r'num_classes=\[\d, 5\]: correct the heads'
    with pytest.raises(ValueError, match=words):
        Cohort([toy_network(task, 4), other])


@pytest.mark.parametrize(
    'other',
    [
        network(8),
        network(depth=50),
        network(strides=(1, 1, 2, 2)),  # equal weights, other strides
    ],
    ids=['width', 'depth', 'stride'],
)
def test_unlike_stages_are_not_shared(other: Any) -> None:
    words = r'cohort\.shared: backbone\.\S+ of peer 1 differs.*share less'
    with pytest.raises(ValueError, match=words):
        Cohort([network(), other], shared=['stem', 'stage1', 'stage2'])


def test_unlike_branches_share_a_trunk() -> None:
    other = network(
        strides=(1, 1, 2, 2), init_cfg=dict(type='Kaiming', layer='Conv2d')
    )
    cohort = Cohort([network(), other], shared=['stem', 'stage1'])
    assert cohort[0].backbone.layer1 is cohort[1].backbone.layer1


@pytest.mark.parametrize(
    ('options', 'error', 'words'),
    [
        (dict(tree=[[0, 1], [2, 3]]), ValueError, 'shared is empty'),
        (
            dict(shared=['stem'], tree=[0, 1, 2]),
            ValueError,
            'must name every peer from 0 to 3 once',
        ),
        (
            dict(shared=['stem'], tree=[0, 1, 2, 2]),
            ValueError,
            'must name every peer from 0 to 3 once',
        ),
        (
            dict(shared=['stem'], tree=[[0, 1], [2, 3]]),
            ValueError,
            r'has 1 level\(s\), .* has 2: give one list of names per level',
        ),
        (
            dict(shared=[['stem'], ['stage1']], tree=[[0, 1], 2, 3]),
            ValueError,
            'all peers must be at the same depth',
        ),
        (
            dict(shared=[['stem'], ['stage2']], tree=[[0, 1], [2, 3]]),
            ValueError,
            'stage2 is shared but stage1 is not',
        ),
        (dict(shared=['stem', 'stage9']), ValueError, 'has 4 stages'),
        (
            dict(shared=['backbone.layr1']),
            KeyError,
            r'cohort\.shared="backbone\.layr1".*nearest: backbone\.layer',
        ),
        (dict(shared='stem'), TypeError, r"write shared=\['stem'\]"),
    ],
)
def test_wrong_sharing_is_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Cohort([network()] * 4, **options)
