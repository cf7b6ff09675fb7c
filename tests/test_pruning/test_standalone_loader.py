"""Structure from the plan, weights from the file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mmkd.pruning import ScatterNorm, apply_plan, compact, standalone_loader

SHAPE = (3, 64, 64)


@pytest.mark.parametrize(
    'name', ['resnet18', 'mobilenet_v2', 'densenet', 'hrnet_pose']
)
@pytest.mark.parametrize('residual', ['keep', 'scatter'])
def test_plan_and_weights_give_the_network(masked, name, residual):
    small, plan, _ = compact(masked(name), SHAPE, residual=residual)
    fresh = masked(name, seed=7, rate=0.0)
    apply_plan(fresh, json.loads(json.dumps(plan)))
    fresh.load_state_dict(small.state_dict(), strict=True)
    images = torch.randn(2, *SHAPE)
    with torch.no_grad():
        one = small.extract_feat(images)
        two = fresh.extract_feat(images)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)


def test_plan_of_another_network(masked):
    _, plan, _ = compact(masked('resnet18'), SHAPE)
    with pytest.raises(ValueError, match='which this ImageClassifier'):
        apply_plan(masked('vgg'), plan)
    wider = nn.Module()
    wider.conv = nn.Conv2d(3, 16, 1)
    entry = dict(out_channels=[8, 4], keep_out=[0, 1, 2, 3])
    plan = dict(modules=dict(conv=entry), scatter={})
    with pytest.raises(ValueError, match='expects out_channels=8'):
        apply_plan(wider, plan)


def test_slices_own_their_memory(masked):
    small, _, _ = compact(masked('resnet18'), SHAPE)
    for value in small.state_dict().values():
        size = value.numel() * value.element_size()
        assert value.untyped_storage().nbytes() == size


def test_scatter_norm():
    norm = nn.BatchNorm2d(4).eval()
    norm.running_mean.normal_()
    norm.weight.data.uniform_()
    scatter = ScatterNorm(copy.deepcopy(norm), [0, 2]).eval()
    scatter.const[0, 1] = 5
    x = torch.randn(2, 4, 3, 3)
    with torch.no_grad():
        found, wanted = scatter(x[:, [0, 2]]), norm(x)
    assert torch.equal(found[:, [0, 2]], wanted[:, [0, 2]])
    assert torch.equal(found[:, 1], torch.full((2, 3, 3), 5.0))
    assert torch.equal(found[:, 3], torch.zeros(2, 3, 3))


def test_loader_does_not_know_mmkd():
    source = Path(standalone_loader.__file__).read_text()
    assert 'mmkd' not in source
