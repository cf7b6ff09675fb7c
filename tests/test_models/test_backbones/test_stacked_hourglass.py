from __future__ import annotations

import pytest
import torch

from mmkd.models.backbones import MultiBranchHourglass, StackedHourglass
from mmkd.models.backbones.hourglass import Hourglass
from mmkd.models.backbones.published_hourglass import convert_okdhp
from mmkd.models.necks import FeatureAggregationUnit

SMALL = dict(feat_channels=8, out_channels=3, depth=2)


def unpacked(case):
    """Return the packed state of a golden case."""
    flat, state, start = torch.from_numpy(case['params_flat']), {}, 0
    shapes = case['params_shape'].tolist()
    keys = str(case['params_keys']).split('\n')
    for key, shape in zip(keys, shapes, strict=True):
        size = [side for side in shape if side >= 0]
        count = torch.Size(size).numel()
        state[key] = flat[start : start + count].reshape(size)
        start += count
    assert start == len(flat)
    return state


def load(module, state):
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(key.endswith('num_batches_tracked') for key in missing)
    return module.eval()


def close(value, expected):
    expected = torch.from_numpy(expected)
    return (value - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_golden_hourglass(golden):
    case = golden('okdhp', 'hourglass_depth2')
    state = {
        key.replace('hg.', 'levels.').replace('.0.bn', '.bn')
        .replace('.0.conv', '.conv'): value
        for key, value in unpacked(case).items()
    }  # fmt: skip
    module = load(Hourglass(int(case['depth']), 8), state)
    assert close(module(torch.from_numpy(case['x'])), case['y_eval'])


def test_golden_network_without_shared_stacks(golden):
    case = golden('okdhp', 'net_unshared_2stack')
    network, unit = convert_okdhp(unpacked(case))
    branched = load(MultiBranchHourglass(8, 5, 0, (2, 2, 2)), network)
    unit = load(FeatureAggregationUnit(8, 6, 5), unit)
    images = torch.from_numpy(case['x'])
    found = branched(images)
    maps = [m for branch in found['branches'] for m in branch]
    assert close(torch.stack(maps), case['outputs'])
    last = [branch[-1] for branch in found['branches']]
    ensemble, attention = unit(found['stem'], last)
    assert close(attention, case['attention'])
    assert close(ensemble, case['ensemble'])
    alone = branched.branch(1)(images)
    assert torch.equal(alone[-1], last[1])


def test_published_numbers_of_parameters(golden):
    case = golden('okdhp', 'param_counts')
    with torch.device('meta'):
        unit = FeatureAggregationUnit()
        for kind, stacks, expected in zip(
            *(case[key].tolist() for key in ('kind', 'stacks', 'parameters')),
            strict=True,
        ):
            if kind in ('shared', 'unshared'):
                split = (2, (2, 2, 2)) if kind == 'shared' else (0, (2,) * 3)
                modules = [MultiBranchHourglass(256, 16, *split), unit]
            else:
                modules = [StackedHourglass(stacks)]
            count = sum(p.numel() for m in modules for p in m.parameters())
            assert count == expected, kind


def test_every_stack_hears_of_the_heat_maps_before():
    """f + remap(y) + back(h), by hand, in two stacks."""
    network = StackedHourglass(2, **SMALL).eval()
    images = torch.randn(2, 3, 32, 48)
    first, second = network.stacks
    feats = network.stem(images)
    assert feats.shape == (2, 8, 8, 12)
    y = first.unit(feats)
    fed = feats + first.remap(y) + first.back(first.score(y))
    expected = [first.score(y), second.score(second.unit(fed))]
    found = network(images)
    assert [value.shape for value in found] == [(2, 3, 8, 12)] * 2
    torch.testing.assert_close(found, expected)
    assert network.stage_names == [('stem',), ('stacks.0',), ('stacks.1',)]


def test_branches_are_ordinary_networks():
    branched = MultiBranchHourglass(
        shared_stacks=1, individual_stacks=(1, 2), **SMALL
    ).eval()
    images = torch.randn(1, 3, 32, 32)
    found = branched(images)
    assert len(found['shared']) == 1
    assert [len(branch) for branch in found['branches']] == [1, 2]
    for index, count in enumerate((2, 3)):
        plain = StackedHourglass(count, **SMALL).eval()
        plain.load_state_dict(branched.branch(index).state_dict())
        maps = plain(images)
        expected = [*found['shared'], *found['branches'][index]]
        assert all(map(torch.equal, maps, expected))
    with torch.no_grad():
        for parameter in branched.branches[0].parameters():
            parameter.mul_(2)
    again = branched(images)['branches']
    assert torch.equal(again[1][-1], found['branches'][1][-1])
    assert not torch.equal(again[0][-1], found['branches'][0][-1])


def test_sizes_that_cannot_be_halved():
    images = torch.randn(1, 3, 32, 24)
    words = r'32x24 give maps of 8x6.*halved 2 times.*divisible by 16.*upsamp'
    with pytest.raises(ValueError, match=words):
        StackedHourglass(1, **SMALL)(images)
    with pytest.raises(ValueError, match=words):
        MultiBranchHourglass(
            shared_stacks=0, individual_stacks=(1, 1), **SMALL
        )(images)
    allowed = StackedHourglass(1, upsample_to_skip=True, **SMALL)
    assert allowed(images)[0].shape == (1, 3, 8, 6)
    with pytest.raises(ValueError, match='cannot be halved.*smaller backb'):
        allowed(torch.randn(1, 3, 32, 12))
    even = torch.randn(1, 3, 32, 48)
    strict = StackedHourglass(1, **SMALL)
    strict.load_state_dict(allowed.state_dict())
    torch.testing.assert_close(
        strict.eval()(even)[0], allowed.eval()(even)[0], rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ('cls', 'settings', 'words'),
    [
        (StackedHourglass, dict(num_stacks=0), 'num_stacks=0 .* at least 1'),
        (StackedHourglass, dict(feat_channels=6), '6 must be a multiple of 4'),
        (StackedHourglass, dict(depth=0), 'depth=0 must be at least 1'),
        (
            MultiBranchHourglass,
            dict(individual_stacks=(2,)),
            'at least two',
        ),
        (
            MultiBranchHourglass,
            dict(individual_stacks=(2, 0)),
            'individual_stacks=0 must be at least 1',
        ),
        (MultiBranchHourglass, dict(shared_stacks=-1), 'not be negative'),
    ],
)
def test_messages(cls, settings, words):
    with pytest.raises(ValueError, match=words):
        cls(**settings)


def test_names_of_another_network():
    with pytest.raises(ValueError, match='"layer4.0.weight" is not a name'):
        convert_okdhp({'layer4.0.weight': torch.zeros(1)})
