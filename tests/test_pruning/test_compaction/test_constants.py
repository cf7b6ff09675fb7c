"""Zero filters and the constants behind their norms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.pruning.compaction.constants import (
    check_zero_filters,
    conv_bias,
    filter_norms,
    norm_constant,
    zero_filters,
)


def test_norm_constant_golden(golden):
    data = golden('softer_filter_pruning', 'bn_response_of_zero_filters')
    names = {key.rsplit('.', 1)[0] for key in data}
    assert len(names) == 8
    for name in names:
        parts = {
            key: torch.from_numpy(data[f'{name}.{key}'])
            for key in ('gamma', 'beta', 'mean', 'var', 'pruned', 'constant')
        }
        norm = nn.BatchNorm2d(len(parts['gamma'])).eval()
        norm.weight.data, norm.bias.data = parts['gamma'], parts['beta']
        norm.running_mean, norm.running_var = parts['mean'], parts['var']
        found = norm_constant(norm, torch.zeros(norm.num_features).double())
        pruned = parts['pruned']
        wanted = parts['constant'].double()[pruned]
        assert (found[pruned] - wanted).abs().max() <= 1e-6


@pytest.mark.parametrize('affine', [True, False])
def test_norm_constant_is_what_the_layer_gives(affine):
    conv = nn.Conv2d(3, 6, 3, padding=1)
    norm = nn.BatchNorm2d(6, affine=affine).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    conv.weight.data[[1, 4]] = 0
    with torch.no_grad():
        maps = norm(conv(torch.randn(2, 3, 5, 5)))[:, [1, 4]]
    found = norm_constant(norm, conv_bias(conv))[[1, 4]]
    assert torch.allclose(maps.double(), found.view(1, 2, 1, 1), atol=1e-6)


@pytest.mark.parametrize('groups', [1, 2])
def test_filters_of_transposed_convolutions(groups):
    conv = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    width = 6 // groups
    for channel in (1, 5):
        group, column = divmod(channel, width)
        rows = slice(group * 4 // groups, (group + 1) * 4 // groups)
        conv.weight.data[rows, column] = 0
    assert zero_filters(conv).nonzero().flatten().tolist() == [1, 5]
    outputs = conv(torch.randn(1, 4, 5, 5)).abs().sum((0, 2, 3))
    assert (outputs == 0).tolist() == (filter_norms(conv) == 0).tolist()


def test_zero_is_exact():
    conv = nn.Conv2d(2, 3, 1)
    conv.weight.data[0] = 0
    conv.weight.data[1] = 1e-45  # the smallest number that is not zero
    assert zero_filters(conv).tolist() == [True, False, False]


def test_counts_leave_out_layers_without_zero_filters():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    network[1].weight.data[:2] = 0
    assert check_zero_filters(network, False, False) == {'1': 2}
