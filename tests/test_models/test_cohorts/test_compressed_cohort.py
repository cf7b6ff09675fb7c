"""Students compressed from one config: widths, sizes, sharing, mistakes."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmpretrain')

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmkd.models.cohorts import CompressedCohort, scale_width  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.toys import toy_network  # noqa: E402

ROOT = Path(__file__).parents[3]
MODELS = ROOT / 'configs' / '_base_' / 'models' / 'cifar'


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def classifier(
    num_classes: int = 7, in_channels: int = 512, **backbone: Any
) -> dict[str, Any]:
    return dict(
        type='ImageClassifier',
        backbone=backbone,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=num_classes,
            in_channels=in_channels,
        ),
    )


def cifar(name: str, num_classes: int = 10) -> Any:
    network = Config.fromfile(MODELS / f'{name}.py').model
    network.head.num_classes = num_classes
    return network


def configs(peer: Any, **options: Any) -> list[Any]:
    return CompressedCohort.peer_configs(dict(peer=peer, **options))


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


# -- widths ------------------------------------------------------------------


def test_golden_widths(golden: Any) -> None:
    case = golden('oem', 'channel_schedule')
    tried = 0
    for key, expected in case.items():
        kind, *rest = key.split('_')
        rest[-1:] = [] if rest[-1].startswith('students') else rest[-1:]
        if kind == 'channels':
            stages = None
            if rest[-1].startswith('blocks'):
                stages = int(rest.pop()[6:])
                rest.pop()
            setting = 'stage_channels', [int(c) for c in rest]
        elif kind == 'growth':
            stages, setting = None, ('growth_rate', int(rest[0]))
        else:
            stages, setting = None, ('width_factor', float(rest[0]))
        n = len(expected)
        name, value = setting
        found = [
            scale_width(
                dict(backbone={name: value}),
                Fraction(n - j, n),
                stages,
                [f'backbone.{name}'],
            )['backbone'][name]
            for j in range(n)
        ]
        np.testing.assert_array_equal(found, expected, key)
        tried += 1
    assert tried == len(case) > 10


def test_floats_truncate_like_fractions() -> None:
    network = dict(backbone=dict(stage_channels=[10, 30, 35]))
    width = ['backbone.stage_channels']
    scaled = scale_width(network, 0.6, None, width)
    assert scaled['backbone']['stage_channels'] == [6, 18, 21]
    assert network['backbone']['stage_channels'] == [10, 30, 35]


@pytest.mark.parametrize(
    ('backbone', 'setting', 'expected'),
    [
        (
            dict(type='mmkd.CIFARResNet', depth=8),
            'stage_channels',
            [8, 16, 32],
        ),
        (
            dict(type='mmkd.CIFARResNet', depth=8, base_channels=32),
            'stage_channels',
            [16, 32, 64],
        ),
        (dict(type='ResNet', depth=18), 'base_channels', 32),
        (dict(type='ResNetV1d', depth=50), 'base_channels', 32),
        (dict(type='DenseNet', arch='121'), 'arch', dict(growth_rate=16)),
        (dict(type='mmkd.CIFARDenseNet', depth=40), 'growth_rate', 6),
        (dict(type='mmkd.CIFARWideResNet', depth=16), 'widen_factor', 0.5),
        (dict(type='MobileNetV2'), 'widen_factor', 0.5),
        (dict(type='mmkd.StagedResNeXt', depth=50), 'stage_channels', None),
        (dict(type='mmkd.SlimEfficientNet'), 'width_factor', 0.5),
    ],
)
def test_known_backbones(
    backbone: dict[str, Any], setting: str, expected: Any
) -> None:
    scaled = scale_width(dict(backbone=backbone), 0.5)['backbone']
    if setting == 'arch':
        assert scaled['arch']['growth_rate'] == expected['growth_rate']
        assert scaled['arch']['init_channels'] == 64
    else:
        assert scaled[setting] == (expected or [32, 64, 128, 256])
    if 'Dense' in backbone['type'] and setting != 'arch':
        assert scaled['stem_channels'] == 24
    assert setting not in backbone or backbone[setting] != scaled[setting]


# -- sizes -------------------------------------------------------------------

# parameters at 100 classes: stem, then the students without it
CIFAR_RESNETS = dict(
    resnet20=(277860, 175752, 100064, 44107, 11479),
    resnet32=(472292, 297776, 168488, 73431, 18451),
    resnet56=(861156, 541824, 305336, 132079, 32395),
    resnet110_basic=(1736100, 1090932, 613244, 264037, 63769),
)
# table 1 of the paper: % of the uncompressed student, 10 classes
PUBLISHED = dict(
    resnet20=(62.95, 35.61, 15.50, 3.95),
    resnet32=(62.87, 35.43, 15.33, 3.80),
    resnet44=(62.84, 35.36, 15.25, 3.74),
    resnet110_basic=(62.79, 35.26, 15.15, 3.64),
    densenet_100_12=(58.01, 36.34, 13.31, 4.29),
)
LARGE = dict(
    resnext50=(62.10, 35.60, 16.09, 4.76),
    b0=(64.11, 35.94, 18.88, 5.43),
    b2=(65.16, 37.87, 18.13, 4.69),
    b4=(64.43, 36.27, 16.40, 4.91),
)


def some_slow(names: Any) -> list[Any]:
    """Return the names; all but the first are of slow tests."""
    first, *others = names
    return [first, *(pytest.param(n, marks=pytest.mark.slow) for n in others)]


def percentages(peer: Any, **options: Any) -> tuple[float, ...]:
    sizes = [count(build_network(c)) for c in configs(peer, **options)]
    return tuple(round(100 * size / sizes[0], 2) for size in sizes[1:])


@pytest.mark.parametrize('name', some_slow(CIFAR_RESNETS))
def test_parameters_of_the_students(name: str) -> None:
    networks = [build_network(c) for c in configs(cifar(name, 100))]
    stems = [count(n.backbone.conv1, n.backbone.bn1) for n in networks]
    assert set(stems) == {464}
    found = [count(n) - 464 for n in networks]
    assert tuple(found) == CIFAR_RESNETS[name]


@pytest.mark.parametrize('name', some_slow(PUBLISHED))
def test_published_sizes(name: str) -> None:
    assert percentages(cifar(name)) == PUBLISHED[name]


@pytest.mark.slow
@pytest.mark.parametrize('name', LARGE)
def test_published_sizes_of_large_networks(name: str) -> None:
    """The first stage of the ResNeXt keeps its width."""
    if name == 'resnext50':
        peer = classifier(10, type='mmkd.StagedResNeXt', depth=50)
        peer['head']['in_channels'] = 2048
        assert percentages(peer, compressed_stages=3) == LARGE[name]
    else:
        peer = classifier(10, type='mmkd.SlimEfficientNet', arch=name)
        peer['head']['in_channels'] = dict(b0=1280, b2=1408, b4=1792)[name]
        assert percentages(peer) == LARGE[name]


# -- the cohort --------------------------------------------------------------


def test_the_first_is_the_network_itself() -> None:
    peer = cifar('resnet8')
    found = configs(peer)
    assert found[0] == peer
    assert [c.head.in_channels for c in found] == [64, 51, 38, 25, 12]
    assert found[4].backbone.stage_channels == [3, 6, 12]
    assert peer.backbone.get('stage_channels') is None


def test_only_the_stem_is_shared() -> None:
    cohort = CompressedCohort(cifar('resnet8'), num_students=3)
    first, *others = (peer.backbone for peer in cohort.peers)
    for other in others:
        assert other.conv1 is first.conv1 and other.bn1 is first.bn1
        assert other.layer1 is not first.layer1
    alone = CompressedCohort(cifar('resnet8'), num_students=3, shared=[])
    assert count(alone) - count(cohort) == 2 * 464


@pytest.mark.parametrize(
    ('peer', 'options'),
    [
        (toy_network('classification', 8), {}),
        (cifar('densenet_40_12'), dict(num_students=3)),
        (
            classifier(type='mmkd.StagedResNet', depth=18),
            dict(
                num_students=2, compressed_stages=3, shared=['stem', 'stage1']
            ),
        ),
        pytest.param(
            classifier(in_channels=1024, type='DenseNet', arch='121'),
            dict(num_students=2),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_students_run_and_share(peer: Any, options: dict[str, Any]) -> None:
    cohort = CompressedCohort(peer, **options)
    for student in cohort.peers:
        logits = student.eval()(torch.randn(2, 3, 32, 32), mode='tensor')
        assert logits.shape == (2, cohort.num_classes)
    assert cohort.sharing.parts


def test_configs_draw_no_random_numbers() -> None:
    state = torch.get_rng_state()
    configs(classifier(type='mmkd.CIFARWideResNet', depth=10))
    assert torch.equal(state, torch.get_rng_state())


def test_widths_by_name() -> None:
    """Other settings, of other tasks; nothing is measured then."""
    peer = toy_network('segmentation', 4)
    found = configs(
        peer,
        num_students=2,
        width=['backbone.base_channels', 'decode_head.in_channels'],
    )
    assert found[1].backbone.base_channels == 2
    assert found[1].decode_head.in_channels * 2 == peer.decode_head.in_channels
    assert build_network(found[1]).decode_head.in_channels == 16


@pytest.mark.parametrize(
    ('options', 'error', 'words'),
    [
        (
            dict(num_students=20),
            ValueError,
            r'student 19 of 20 would have 0 channels in block 1 \(16 \* 1/20\)'
            '; use at most 16 students',
        ),
        (dict(num_students=1), ValueError, 'num_students=1 must be a number'),
        (dict(compressed_stages=4), ValueError, 'of 3 stages: give 1 to 3'),
        (dict(width='depth'), TypeError, r"write width=\['depth'\]"),
        (
            dict(width=['backbone.widths']),
            KeyError,
            'cohort.width names backbone.widths, which is not written',
        ),
        (
            dict(peer=classifier(type='mmkd.CIFARVGG', depth=8)),
            ValueError,
            'how wide a CIFARVGG is, is not known; name the settings',
        ),
        (
            dict(peer=classifier(type='ResNeXt', depth=50)),
            ValueError,
            'those of its groups.*mmkd.StagedResNeXt',
        ),
        (
            dict(
                peer=classifier(
                    type='mmkd.StagedResNeXt',
                    depth=50,
                    stage_channels=(16, 16, 16, 16),
                    groups=2,
                ),
                num_students=2,
            ),
            ValueError,
            'leave no channel for each of 2 groups',
        ),
        (
            dict(
                peer=classifier(
                    type='ResNet', depth=18, base_channels=64, stem_channels=64
                ),
                compressed_stages=2,
            ),
            ValueError,
            'base_channels=64 is one number for all stages',
        ),
        (dict(peer=[1]), TypeError, 'cohort.peer is a list'),
    ],
)
def test_mistakes(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    given = dict(dict(peer=cifar('resnet8')), **copy.deepcopy(options))
    with pytest.raises(error, match=words):
        configs(**given)


def test_groups_that_do_not_divide() -> None:
    peer = classifier(type='mmkd.StagedResNet', depth=18)
    peer['backbone']['norm_cfg'] = dict(type='GN', num_groups=32)
    words = 'cannot be built .*divisible by its groups; choose another num_st'
    with pytest.raises(ValueError, match=words):
        configs(peer)


def test_unknown_gradient() -> None:
    with pytest.raises(ValueError, match="stem_gradient='none'.*all, first"):
        CompressedCohort(cifar('resnet8'), stem_gradient='none')
