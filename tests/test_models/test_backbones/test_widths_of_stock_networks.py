"""StagedResNet, StagedResNeXt, SlimEfficientNet: mmpretrain's own networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmpretrain')

from mmpretrain.models import backbones as stock  # noqa: E402

from mmkd.models.backbones.slim_efficientnet import (  # noqa: E402
    SlimEfficientNet,
)
from mmkd.models.backbones.staged_resnet import (  # noqa: E402
    StagedResNet,
    StagedResNeXt,
)

slow = pytest.mark.slow


WIDE = (128, 256, 512, 1024)
PAIRS: dict[str, Any] = dict(
    resnet18=(lambda: StagedResNet(18), lambda: stock.ResNet(18)),
    efficientnet_b0=(
        lambda: SlimEfficientNet('b0'),
        lambda: stock.EfficientNet('b0'),
    ),
    wide_resnet50=(
        lambda: StagedResNet(50, WIDE, expansion=2),
        lambda: stock.ResNet(50, base_channels=128, expansion=2),
    ),
    resnext50=(lambda: StagedResNeXt(50), lambda: stock.ResNeXt(50)),
)


@pytest.mark.parametrize(
    'name',
    [
        'resnet18',
        'efficientnet_b0',
        pytest.param('wide_resnet50', marks=slow),
        pytest.param('resnext50', marks=slow),
    ],
)
def test_usual_widths_are_the_stock_network(name: str) -> None:
    ours, theirs = (make() for make in PAIRS[name])
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 3, 32, 32)
    for network in (ours, theirs):
        network.eval()
    with torch.no_grad():
        assert torch.equal(ours(image)[-1], theirs(image)[-1])


def test_widths_of_the_stages() -> None:
    net = StagedResNet(18, (64, 102, 204, 409), out_indices=(0, 1, 2, 3))
    maps = net(torch.randn(2, 3, 32, 32))
    assert [m.shape[1] for m in maps] == [64, 102, 204, 409]
    net = StagedResNeXt(50, (16, 20, 24, 40), groups=2, width_per_group=4)
    assert net.layer4[0].conv2.out_channels == 2 * (40 * 4 // 64)
    assert net(torch.randn(2, 3, 32, 32))[-1].shape[1] == 160


def test_the_stem_of_an_efficientnet_keeps_its_width() -> None:
    net = SlimEfficientNet('b2', 0.4)
    assert net.layers[0].conv.out_channels == 32
    assert net.layers[-1].conv.in_channels == 144
    assert SlimEfficientNet('b0', 0.2, 16).layers[0].conv.out_channels == 16


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda: StagedResNet(18, (64, 128)), 'are not 4 positive widths'),
        (lambda: StagedResNet(18, (64, 128, 256, 0)), 'positive widths'),
        (
            lambda: StagedResNeXt(50, (8, 128, 256, 512)),
            'leave no channel for each of 32 groups',
        ),
        (lambda: SlimEfficientNet('b9'), "arch='b9'.*one of b0, b1"),
        (lambda: SlimEfficientNet('b0', 0), '`width_factor` above 0'),
    ],
)
def test_mistakes(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
