from __future__ import annotations

import copy

import pytest
import torch

from mmkd.models.necks import FeatureAggregationUnit
from tests.references import okdhp


def close(value, expected):
    return (value - expected).abs().max() <= 1e-4 * expected.abs().max()


def tensors(case):
    return {key: torch.from_numpy(value) for key, value in case.items()}


def published(case):
    unit = FeatureAggregationUnit(8, 6, 5)
    state = {k[2:]: v for k, v in case.items() if k.startswith('p:')}
    missing, unexpected = unit.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(key.endswith('num_batches_tracked') for key in missing)
    return unit


def test_golden_eval(golden):
    case = tensors(golden('okdhp', 'fau'))
    unit = published(case).eval()
    feature = case['feature'].requires_grad_()
    maps = case['branch_heatmaps'].requires_grad_()
    ensemble, attention = unit(feature, maps.unbind(1))
    assert close(attention, case['attention_eval'])
    assert close(ensemble, case['ensemble_eval'])
    (ensemble * case['cotangent']).sum().backward()
    assert close(feature.grad, case['grad_feature_eval'])
    assert close(maps.grad, case['grad_heatmaps_eval'])


def test_golden_training(golden):
    case = tensors(golden('okdhp', 'fau'))
    unit = published(case).train()
    ensemble, attention = unit(
        case['feature'], case['branch_heatmaps'].unbind(1)
    )
    assert close(attention, case['attention_train'])
    assert close(ensemble, case['ensemble_train'])
    state = unit.state_dict()
    after = {k[12:]: v for k, v in case.items() if k.startswith('after_train')}
    assert after
    for key, value in after.items():
        assert close(state[key], value), key


@pytest.mark.parametrize('variant', ['sum', 'concat'])
def test_equals_reference(variant):
    unit = FeatureAggregationUnit(4, 3, 2, 4, (1, 5), variant).double().eval()
    feature = torch.randn(3, 4, 5, 6).double()
    maps = list(torch.rand(4, 3, 2, 7, 8).double())
    ensemble, attention = unit(feature, maps)
    if variant == 'sum':
        convs, norms, _ = zip(*unit.convs, strict=True)
        expected = okdhp.attention_sum(
            feature, convs, norms, unit.fc, unit.fcs
        )
    else:
        expected = okdhp.attention_concat(
            feature, unit.convs, [p[0] for p in unit.projections], unit.fc, 4
        )
    torch.testing.assert_close(attention, expected)
    torch.testing.assert_close(ensemble, okdhp.ensemble(maps, attention))
    torch.testing.assert_close(attention.sum(1), torch.ones(3, 2).double())
    lowest, highest = torch.stack(maps).aminmax(dim=0)
    assert (ensemble >= lowest - 1e-12).all()
    assert (ensemble <= highest + 1e-12).all()
    same, _ = unit(feature, [maps[0]] * 4)
    torch.testing.assert_close(same, maps[0])


def test_branches_may_change_places():
    unit = FeatureAggregationUnit(4, 3, 2).eval()
    feature, maps = torch.randn(2, 4, 5, 5), list(torch.rand(3, 2, 2, 4, 4))
    ensemble, attention = unit(feature, maps)
    order = [2, 0, 1]
    other = copy.deepcopy(unit)
    other.fcs = torch.nn.ModuleList(unit.fcs[k] for k in order)
    moved, weights = other(feature, [maps[k] for k in order])
    torch.testing.assert_close(moved, ensemble)
    torch.testing.assert_close(weights, attention[:, order])


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(variant='mean'), "variant='mean'.*one of sum, concat"),
        (dict(num_branches=1), 'num_branches=1 must be at least 2'),
        (dict(kernel_sizes=(3, 4)), r'\[3, 4\] must be odd'),
    ],
)
def test_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        FeatureAggregationUnit(**settings)


def test_shapes():
    unit = FeatureAggregationUnit(4, 3, 2)
    feature = torch.randn(2, 4, 5, 5)
    with pytest.raises(ValueError, match='2 heat maps of .*num_branches=3'):
        unit(feature, torch.rand(2, 2, 2, 4, 4))
    unlike = [torch.rand(2, 2, 4, 4)] * 2 + [torch.rand(2, 2, 4, 3)]
    with pytest.raises(ValueError, match='the same joints and heat-map size'):
        unit(feature, unlike)
    with pytest.raises(ValueError, match='out_channels=2 is the number of j'):
        unit(feature, torch.rand(3, 2, 5, 4, 4))
