from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.heads import FeatureMapDiscriminator


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_default_gives_a_score_for_every_position():
    judge = FeatureMapDiscriminator(8).double()
    maps = torch.randn(3, 8, 5, 4, dtype=torch.float64)
    scores = judge(maps)
    assert scores.shape == (3, 1, 5, 4)
    assert scores.min() > 0 and scores.max() < 1
    by_hand = nn.functional.conv2d(maps, judge.conv1.weight, padding=1)
    mean = by_hand.mean((0, 2, 3), keepdim=True)
    var = by_hand.var((0, 2, 3), unbiased=False, keepdim=True)
    by_hand = (by_hand - mean) / (var + 1e-5).sqrt()
    by_hand = by_hand * judge.norm.weight.view(-1, 1, 1)
    by_hand = torch.where(by_hand > 0, by_hand, 0.2 * by_hand)
    by_hand = nn.functional.conv2d(
        by_hand, judge.conv2.weight, judge.conv2.bias, padding=1
    )
    torch.testing.assert_close(scores, 1 / (1 + torch.exp(-by_hand)))
    assert count(judge) == 8 * 8 * 9 + 16 + 8 * 9 + 1


@pytest.mark.parametrize(
    'options',
    [
        dict(preset='single_score'),
        dict(kernel_size=2),
        dict(
            hidden_channels=256,
            kernel_size=2,
            strides=(1, 2),
            padding=0,
            negative_slope=0.01,
        ),
    ],
)
def test_the_other_reading(options):
    judge = FeatureMapDiscriminator(512, **options)
    assert count(judge) == 526081
    assert judge.act.negative_slope == 0.01
    for side, scores in ((4, 1), (8, 3), (7, 3)):
        assert judge.score_size(side, side) == (scores, scores)
        found = judge(torch.randn(2, 512, side, side))
        assert found.shape == (2, 1, scores, scores)


def test_every_argument():
    judge = FeatureMapDiscriminator(
        6,
        hidden_channels=4,
        negative_slope=0.3,
        kernel_size=5,
        strides=(2, 1),
        padding=2,
        bias=True,
        norm=False,
    )
    assert count(judge) == 6 * 4 * 25 + 4 + 4 * 25 + 1
    assert judge(torch.randn(1, 6, 9, 8)).shape == (1, 1, 5, 4)
    assert judge.act.negative_slope == 0.3
    usual = FeatureMapDiscriminator(256)
    assert usual.conv1.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert usual.norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert usual.norm.weight.std().item() == pytest.approx(0.02, rel=0.3)
    assert usual.conv2.bias.item() == 0


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(preset='patch'), 'choose one of score_map, single_score'),
        (dict(strides=2), 'strides=2 must be two numbers'),
        (dict(strides=(1, 2, 1)), 'must be two numbers'),
        (dict(strides=(1, 0)), 'strides=0 must be positive'),
        (dict(padding=-1), 'padding=-1 must not be negative'),
        (dict(kernel_size=0), 'kernel_size=0 must be positive'),
        (dict(hidden_channels=0), 'hidden_channels=0 must be positive'),
    ],
)
def test_wrong_settings(options, words):
    with pytest.raises(ValueError, match=words):
        FeatureMapDiscriminator(8, **options)


def test_wrong_maps():
    judge = FeatureMapDiscriminator(8, preset='single_score')
    words = r'maps of 2x2 are too small for kernel_size=2, strides=\(1, 2\)'
    with pytest.raises(ValueError, match=words):
        judge(torch.zeros(4, 8, 2, 2))
    with pytest.raises(ValueError, match=r'in_channels=8, but the maps are'):
        judge(torch.zeros(4, 6, 4, 4))
    with pytest.raises(ValueError, match=r'in_channels=8, but .*\(4, 8\)'):
        judge(torch.zeros(4, 8))
    judge = FeatureMapDiscriminator(8)
    with pytest.raises(ValueError, match='batch_size of at least 2'):
        judge(torch.zeros(1, 8, 1, 1))
    assert judge.eval()(torch.zeros(1, 8, 1, 1)).shape == (1, 1, 1, 1)
