from __future__ import annotations

import pytest
import torch
from mmcv.cnn import build_norm_layer
from torch import nn

from mmkd.models.norms import GroupedBatchNorm


def pair(group_size, **options):
    """A layer and PyTorch's own, with the same random weights."""
    torch.manual_seed(0)
    ours = GroupedBatchNorm(3, group_size, **options).double()
    for value in (ours.weight, ours.bias, ours.running_mean):
        nn.init.normal_(value)
    nn.init.uniform_(ours.running_var, 0.5, 2.0)
    plain = nn.BatchNorm2d(3, **options).double()
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize('memory_format', ['contiguous', 'channels_last'])
def test_every_group_is_normalised_by_itself(memory_format):
    ours, plain = pair(4, eps=1e-3, momentum=0.3)
    images = torch.randn(12, 3, 2, 5, dtype=torch.float64)
    if memory_format == 'channels_last':
        images = images.contiguous(memory_format=torch.channels_last)
    images.requires_grad_()
    found = ours(images)
    expected = torch.empty_like(images)
    means, variances = [], []
    for group in range(3):
        one = nn.BatchNorm2d(3, eps=1e-3, momentum=0.3).double()
        one.load_state_dict(plain.state_dict())
        expected[group::3] = one(images[group::3])
        means.append(one.running_mean)
        variances.append(one.running_var)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours.running_mean, sum(means) / 3)
    torch.testing.assert_close(ours.running_var, sum(variances) / 3)
    assert int(ours.num_batches_tracked) == 1
    weights = torch.randn_like(found)
    torch.testing.assert_close(
        *(
            torch.autograd.grad((y * weights).sum(), images)[0]
            for y in (found, expected)
        )
    )


def test_one_group_and_eval_mode_are_plain_batch_norm():
    ours, plain = pair(4)
    for rows, training in ((4, True), (7, False)):
        images = torch.randn(rows, 3, 2, 2, dtype=torch.float64)
        found = ours.train(training)(images)
        torch.testing.assert_close(found, plain.train(training)(images))
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


def test_pooled_features_and_no_affine():
    ours = GroupedBatchNorm(3, 2, affine=False).double()
    feats = torch.randn(4, 3, dtype=torch.float64)
    for group in range(2):
        part = feats[group::2]
        std = (part.var(0, unbiased=False) + 1e-5).sqrt()
        expected = (part - part.mean(0)) / std
        torch.testing.assert_close(ours(feats)[group::2], expected)


def test_is_built_by_norm_cfg():
    name, layer = build_norm_layer(
        dict(type='mmkd.GroupedBatchNorm', group_size=8), 16, postfix=1
    )
    assert name == 'bn1' and type(layer) is GroupedBatchNorm
    assert layer.group_size == 8 and 'group_size=8' in repr(layer)


@pytest.mark.parametrize('rows', [2, 6])
def test_batch_without_whole_groups(rows):
    layer = GroupedBatchNorm(3, 4)
    with pytest.raises(ValueError, match=f'group_size=4.*batch of {rows} sam'):
        layer(torch.randn(rows, 3, 2, 2))
    assert layer.eval()(torch.randn(rows, 3, 2, 2)).shape[0] == rows


def test_wrong_settings():
    with pytest.raises(ValueError, match='group_size=0 must be positive'):
        GroupedBatchNorm(3, 0)
    with pytest.raises(ValueError, match=r'expected \(B, C, ...\)'):
        GroupedBatchNorm(3, 3)(torch.randn(3))
