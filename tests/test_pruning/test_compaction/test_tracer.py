"""Channels are followed through all kinds of structure, or kept."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd.pruning import compact
from tests.support.masked_networks import mask_at_random

SHAPE = (3, 32, 32)


def conv(inputs, outputs, size=3, **kwargs):
    kwargs.setdefault('padding', size // 2)
    return nn.Conv2d(inputs, outputs, size, **kwargs)


def block(inputs, outputs, act=None, **kwargs):
    return nn.Sequential(
        conv(inputs, outputs, **kwargs),
        nn.BatchNorm2d(outputs),
        act or nn.ReLU(),
    )


class Network(nn.Module):
    """first -> middle(x) -> last -> mean -> linear."""

    def __init__(self, middle=None, first=None, last=None, width=8):
        super().__init__()
        self.first = first or block(3, 8)
        self.middle = middle or nn.Identity()
        self.last = last or block(width, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.last(self.middle(self.first(x)))
        return self.fc(x.mean((2, 3)))


def run(network, rate=0.4, **kwargs):
    """Compact in float64; returns the widths of `first` and the plan."""
    mask_at_random(network.double(), rate)
    small, plan, report = compact(network, SHAPE, **kwargs)
    assert report.max_error <= 1e-10
    first = small.first
    while not hasattr(first, 'out_channels'):
        first = next(first.children())
    return first.out_channels, plan


class Concatenation(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = block(8, 6), block(8, 6, size=1)

    def forward(self, x):
        return torch.cat([x, self.left(x), self.right(x)], dim=1)


def test_concatenation():
    width, plan = run(Network(Concatenation(), width=20))
    assert width == 6  # 3 of 8 are zero, one carries
    entry = plan['modules']['last.0']
    assert entry['in_channels'][0] == 20
    # of 8, 6 and 6 channels 3, 2 and 2 are zero; one carrier is enough for
    # `last`, but `left` reads `first` by a padded convolution too
    assert entry['in_channels'][1] < 20 - 3


class Upsampled(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.mode = mode

    def forward(self, x):
        x = F.max_pool2d(x, 3, 2, 1)
        return F.interpolate(x, scale_factor=2, mode=self.mode)


@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
def test_pooling_and_resizing(mode):
    assert run(Network(Upsampled(mode)))[0] == 6


@pytest.mark.parametrize(
    'act',
    [
        nn.PReLU(8),
        nn.PReLU(),
        nn.SiLU(),
        nn.Hardswish(),
        nn.LeakyReLU(0.1, inplace=True),
        nn.GELU(),
        nn.Sigmoid(),
    ],
    ids=lambda act: type(act).__name__,
)
def test_activations(act):
    if isinstance(act, nn.PReLU):
        act.weight.data.uniform_(0.1, 0.9)
    width, plan = run(Network(first=block(3, 8, act)))
    assert width == 6
    if isinstance(act, nn.PReLU) and act.num_parameters > 1:
        assert plan['modules']['first.2']['out_channels'] == [8, 6]


class Padded(nn.Module):
    def __init__(self, mode='constant'):
        super().__init__()
        self.mode = mode

    def forward(self, x):
        return F.pad(x, (1, 1, 1, 1), mode=self.mode)


def test_zero_padding_before_a_norm_keeps_channels():
    after = nn.Sequential(Padded(), nn.BatchNorm2d(8), nn.Sigmoid())
    width, plan = run(Network(after))
    nonzero = 8 - plan['skipped']['first.0']['zero_filters']
    assert width > nonzero
    assert run(Network(Padded('reflect')))[0] == 6


def test_padding_modes_of_convolutions():
    for mode in ('reflect', 'replicate', 'circular'):
        last = block(8, 8, padding_mode=mode)
        width, plan = run(Network(last=last))
        assert (width, plan['modules']['first.0']['carriers']) == (5, [])


def test_fold_into_norm_and_into_a_new_bias():
    last = nn.Sequential(conv(8, 8, size=1, bias=False), nn.BatchNorm2d(8))
    width, plan = run(Network(last=last))
    assert width == 5
    assert 'bias' not in plan['modules']['last.0']
    last = nn.Sequential(conv(8, 8, size=1, bias=False), nn.ReLU())
    width, plan = run(Network(last=last))
    assert width == 5
    assert plan['modules']['last.0']['bias'] is True


class Twice(nn.Module):
    """The output of a convolution is read by its norm and beside it."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = conv(8, 8, size=1), nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.conv(x)
        return self.bn(x).relu() + x


def test_no_fold_into_a_norm_that_is_not_the_only_reader():
    width, plan = run(Network(Twice()))
    assert width == 5
    assert plan['modules']['middle.conv'].get('keep_in')


@pytest.mark.parametrize('groups', [2, 4])
def test_grouped_convolutions(groups):
    middle = block(8, 8, groups=groups)
    _, plan = run(Network(middle), rate=0.6)
    first = plan['modules'].get('first.0')
    if first is not None:
        parts = torch.tensor(first['keep_out']) * groups // 8
        assert len(set(parts.bincount(minlength=groups).tolist())) == 1


def test_grouped_convolutions_lose_whole_shares():
    network = Network(block(8, 8, groups=2)).double()
    mask_at_random(network, 0.0)
    for layer in (network.first[0], network.middle[0]):
        layer.weight.data[[0, 1, 4, 6]] = 0
    small, plan, report = compact(network, SHAPE)
    assert report.max_error <= 1e-10
    # three of each group: one as carrier or to make groups equally wide
    assert small.first[0].out_channels == 6
    keep = plan['modules']['first.0']['keep_out']
    assert sum(index < 4 for index in keep) == 3
    assert small.middle[0].weight.shape[1] == 3


def test_depthwise_convolutions():
    middle = block(8, 8, groups=8)
    network = Network(middle).double()
    mask_at_random(network, 0.0)
    network.first[1].bias.data[:3] = -9  # nothing is left behind the ReLU
    network.first[0].weight.data[[0, 1, 2, 5]] = 0
    network.first[1].bias.data[5] = 9  # a constant that padding touches
    network.middle[0].weight.data[[1, 6]] = 0
    small, plan, report = compact(network, SHAPE)
    assert report.max_error <= 1e-10
    keep = plan['modules']['first.0']['keep_out']
    assert {3, 4, 5, 7} <= set(keep)
    assert small.middle[0].groups == len(keep) < 8
    assert plan['skipped']['first.0']['zero_filters'] >= 1


@pytest.mark.parametrize('groups', [1, 2])
def test_transposed_convolutions(groups):
    middle = nn.Sequential(
        nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=groups),
        nn.BatchNorm2d(8),
        nn.ReLU(),
    )
    _, plan = run(Network(middle))
    assert ('middle.0' in plan['modules']) or groups == 2


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = block(3, 8)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(32, 4)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.first(x)), 1))


def test_flattening():
    width, plan = run(Flat())
    assert width == 5
    assert plan['modules']['fc']['in_channels'] == [32, 20]


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8))

    def forward(self, x):
        return F.relu(x + self.body(x))


def test_sums_lose_what_is_constant_in_all_addends():
    network = Network(Sum()).double()
    mask_at_random(network, 0.0)
    network.first[0].weight.data[[0, 2, 3]] = 0
    network.middle.body[0].weight.data[[2, 3, 5]] = 0
    small, plan, report = compact(network, SHAPE)
    assert report.max_error <= 1e-10
    assert small.first[0].out_channels == 7  # 2 or 3 carries
    assert plan['modules']['last.0']['in_channels'] == [8, 7]
    assert 'residual' in plan['skipped']['first.0']['reason']


class Attention(nn.Module):
    def forward(self, x):
        return x * x.mean((2, 3), keepdim=True).sigmoid()


class Shuffle(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Halves(nn.Module):
    def forward(self, x):
        return torch.cat(x.chunk(2, dim=1)[::-1], dim=1)


class Written(nn.Module):
    def forward(self, x):
        x[:, 0] = x[:, 1]
        return x


class Foreign(nn.Module):
    """Calls what no function mode sees."""

    def forward(self, x):
        return torch.from_numpy(x.numpy()[:, ::-1].copy())


@pytest.mark.parametrize(
    ('middle', 'words'),
    [
        (Attention(), 'Attention): mul'),
        (Shuffle(), 'Shuffle): view'),
        (Halves(), 'Halves): chunk'),
        (Written(), 'Written): __setitem__'),
        (Foreign(), 'Foreign): its own operation'),
        (nn.GroupNorm(2, 8), 'GroupNorm) normalises'),
        (nn.InstanceNorm2d(8), 'InstanceNorm2d) normalises'),
        (nn.BatchNorm2d(8, track_running_stats=False), 'BatchNorm2d)'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_followed_is_named(middle, words):
    width, plan = run(Network(middle))
    assert width == 8
    reason = plan['skipped']['first.0']['reason']
    assert reason.startswith('middle (')
    assert words in reason
    assert plan['modules']['last.0']['out_channels'][1] < 8  # others are cut


class Shared(nn.Module):
    """One convolution reads maps of two others."""

    def __init__(self):
        super().__init__()
        self.one, self.two = block(8, 8), block(8, 8)
        self.head = conv(8, 8)

    def forward(self, x):
        return self.head(self.one(x)) + self.head(self.two(x))


def test_a_layer_that_reads_several_maps_keeps_its_inputs():
    width, plan = run(Network(Shared()))
    assert width == 6
    assert 'keep_in' not in plan['modules'].get('middle.head', {})
    assert 'several maps' in plan['skipped']['middle.one.0']['reason']


def test_tied_weights_are_left_alone():
    network = Network(nn.Sequential(block(8, 8), block(8, 8)))
    network.middle[1][0].weight = network.middle[0][0].weight
    width, plan = run(network)
    assert 'middle.0.0' not in plan['modules']
    assert width == 8


def test_outputs_of_the_network_stay():
    network = nn.Sequential(block(3, 8), block(8, 8)).double()
    mask_at_random(network, 0.4)
    small, plan, _ = compact(network, SHAPE)
    assert small(torch.randn(1, *SHAPE).double()).shape[1] == 8
    assert 'output of the network' in plan['skipped']['1.0']['reason']


class HeadWithProposals(nn.Module):
    """Its whole forward pass needs more than images."""

    def __init__(self):
        super().__init__()
        self.first, self.last = block(3, 8), block(8, 8)
        self.head = block(8, 8)

    def extract_feat(self, x):
        return (self.last(self.first(x)),)

    def forward(self, x, proposals):
        return self.head(self.extract_feat(x)[0]) + proposals


def test_networks_whose_heads_cannot_run():
    network = HeadWithProposals().double()
    mask_at_random(network, 0.4)
    small, plan, report = compact(network, SHAPE)
    assert 'proposals' in report.not_run
    assert small.first[0].out_channels == 6
    assert small.last[0].out_channels == 8  # the head reads it
    assert 'not be followed' in plan['skipped']['head.0']['reason']
