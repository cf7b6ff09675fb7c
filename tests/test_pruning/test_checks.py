"""Arguments of the wrong shape or out of range: one clear message each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.pruning import (
    alpha_at,
    choose_masks,
    compact,
    coupled_groups,
    damp,
    filter_mask,
    filter_scores,
    find_norm,
    find_targets,
    hard_ratio_at,
    mask_coupled,
    num_pruned,
    rate_at,
    recalibrate_batch_norm,
    select_filters,
    weight_mask,
    zero_counts,
)
from mmkd.pruning.export import ExportOptions
from mmkd.pruning.settings import PruningSettings
from tests.support.pruning_runner import Net

WEIGHT = torch.randn(8, 3, 3, 3)
SCORES = filter_scores(WEIGHT)
MASK = filter_mask(SCORES, 0.5)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (
            lambda: select_filters(WEIGHT, 0.3),
            r'\(8, 3, 3, 3\), expected \(C_out,\).*'
            r'select_filters\(filter_scores\(weight\), rate\)',
        ),
        (lambda: select_filters(SCORES.sum(), 0.3), r'scores are \(\), exp'),
        (lambda: select_filters(SCORES, 1.0), r'must be in \[0, 1\), but is'),
        (lambda: select_filters(SCORES, -0.1), r'must be in \[0, 1\), but'),
        (lambda: select_filters(SCORES[:0], 0.3), 'count=0 must be at least'),
        (lambda: filter_mask(WEIGHT, 0.3), 'select_filters: scores are'),
        (lambda: filter_mask(SCORES, 0.3, 1.5), r'hard_ratio=1.5 must be in'),
        (lambda: weight_mask(WEIGHT, 0.3, -1), r'hard_ratio=-1 must be in'),
        (lambda: weight_mask(WEIGHT, 2), r'pruning_rate must be in \[0, 1\)'),
        (lambda: weight_mask(WEIGHT[:0], 0.3), 'count=0 must be at least 1'),
        (lambda: filter_scores(SCORES), r'weight is \(8,\); give the weight'),
        (lambda: filter_scores(WEIGHT[:0]), r'weight is \(0, 3, 3, 3\)'),
        (lambda: filter_scores(WEIGHT, 0), 'norm=0 must be a positive numbe'),
        (lambda: filter_scores(WEIGHT, 'fro'), "norm='fro' must be a posit"),
        (lambda: num_pruned(0, 0.3), 'count=0 must be at least 1'),
        (lambda: num_pruned(8, float('nan')), 'pruning_rate must be in'),
        (lambda: damp(WEIGHT, MASK, 1.5), r'alpha=1.5 must be in \[0, 1\]'),
        (lambda: damp(WEIGHT, MASK.flatten(), 0), r'mask \(8,\) of torch.uin'),
        (lambda: damp(SCORES, MASK, 0), r'mask \(8, 1, 1, 1\) .*weight \(8,'),
        (lambda: damp(WEIGHT, MASK.float(), 0), 'of torch.float32 is none'),
        (lambda: choose_masks({}, {}), 'weights are empty'),
        (
            lambda: choose_masks(dict(a=WEIGHT), dict(a=0.3), 0.0, 'channel'),
            "granularity='channel' is unknown; use one of filter, weight",
        ),
        (lambda: rate_at(-1, 9, 0.3), 't=-1 is no step of T=9'),
        (lambda: rate_at(9, 9, 0.3), 't=9 is no step of T=9; .* to T - 1'),
        (lambda: rate_at(0, 0, 0.3), 't=0 is no step of T=0'),
        (lambda: rate_at(0, 9, float('nan')), 'pruning_rate must be in'),
        (lambda: alpha_at(-1, 9), 't=-1 is no step of T=9'),
        (lambda: alpha_at(9, 9), 't=9 is no step of T=9'),
        (lambda: hard_ratio_at(9, 9), 't=9 is no step of T=9'),
        (lambda: hard_ratio_at(-2, 9), 't=-2 is no step of T=9'),
        (
            lambda: find_targets(Net(), 0.3, ['conv'], granularity='x'),
            "granularity='x' is unknown",
        ),
        (lambda: find_norm(Net(), 'conv7'), '"conv7" is no convolution of'),
        (lambda: find_norm(Net(), 'body.conv0'), '"body.conv0" is no convol'),
        (lambda: find_norm(Net(), 'norm0'), '"norm0" is no convolution of'),
        (lambda: zero_counts([]), 'no target; see find_targets'),
    ],
)
def test_bad_arguments(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_layer_without_a_rate() -> None:
    weights = dict(conv0=WEIGHT, conv1=WEIGHT)
    with pytest.raises(KeyError, match='rates lack conv1; give a rate'):
        choose_masks(weights, dict(conv0=0.3))


@pytest.mark.parametrize(
    'inputs', [(1, 3, 7, 7), (3, 0, 7), (7, 7), torch.randn(3, 7, 7)]
)
def test_images_of_a_wrong_shape(inputs) -> None:
    net = Net().eval()
    net.conv0.weight.data[0] = 0
    for function in (compact, coupled_groups):
        with pytest.raises(ValueError, match=r'give images \(N, C, H, W\)'):
            function(net, inputs)


def test_tolerance_and_rate_of_whole_networks() -> None:
    net = Net().eval()
    net.conv0.weight.data[0] = 0
    for tolerance in (-1.0, float('nan')):
        with pytest.raises(ValueError, match='tolerance=.* at least 0'):
            compact(net, (3, 7, 7), tolerance=tolerance)
    groups = coupled_groups(net, (3, 7, 7))
    with pytest.raises(ValueError, match='rate=1.0 must be'):
        mask_coupled(net, groups, 1.0)


def test_statistics_of_nothing_leave_the_model_alone() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.fill_(2.0)
    with pytest.raises(ValueError, match='batches are empty'):
        recalibrate_batch_norm(norm, iter(()), norm)
    assert norm.running_mean.tolist() == [2.0] * 3 and norm.momentum == 0.1


def test_settings_and_options_that_do_not_exist() -> None:
    with pytest.raises(TypeError, match='no setting pruning_ratio; .*_rate'):
        PruningSettings.of('sfp', pruning_ratio=0.3)
    with pytest.raises(TypeError, match='residuals'):
        ExportOptions(residuals='keep')
    for name in ('recalibrate', 'rounds'):
        with pytest.raises(ValueError, match=f'{name}=-1 must be at least 0'):
            ExportOptions(**{name: -1})


def test_settings_by_concept() -> None:
    found = PruningSettings.of(
        'asrfp', hard_ratio=0.5, layer_rates={'conv1': 0.1}, norm=1
    )
    assert found.choice.layer_rates == {'conv1': 0.1}
    assert found.choice.pruning_rate == 0.3
    assert found.schedule.rate == 'exponential'
    assert found.schedule.hard_ratio == 0.5
    assert (found.masking.norm, found.masking.mask_bn) == (1, False)
    assert found == PruningSettings.of(
        'asrfp', norm=1, layer_rates={'conv1': 0.1}, hard_ratio=0.5
    )
