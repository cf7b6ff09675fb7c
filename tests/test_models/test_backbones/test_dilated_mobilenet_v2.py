"""The block-wise dilations of DilatedMobileNetV2."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')
from mmkd.models.backbones.dilated_mobilenet_v2 import (  # noqa: E402
    DilatedMobileNetV2,
)
from mmkd.registry import MODELS  # noqa: E402


def depthwise(net):
    return [
        [block.conv[-2].conv for block in getattr(net, name)]
        for name in net.layers
    ]


def test_published_dilations_and_output_stride():
    net = DilatedMobileNetV2(out_indices=(6,))
    net.eval()
    dilations = [[c.dilation[0] for c in stage] for stage in depthwise(net)]
    assert dilations == [
        [1],
        [1, 1],
        [1, 1, 1],
        [1, 2, 2, 2],
        [2, 2, 2],
        [2, 4, 4],
        [4],
    ]
    with torch.no_grad():
        (output,) = net(torch.zeros(1, 3, 65, 97))
    assert output.shape == (1, 320, 9, 13)


def test_undilated_equals_stock_network():
    strides = (1, 2, 2, 2, 1, 2, 1)
    stock = MODELS.build(dict(type='mmseg.MobileNetV2', strides=strides))
    ours = DilatedMobileNetV2(
        strides=strides,
        dilations=[[1] * n for n in (1, 2, 3, 4, 3, 3, 1)],
    )
    ours.load_state_dict(stock.state_dict(), strict=True)
    ours.eval()
    stock.eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(ours(x), stock(x), strict=True):
            assert torch.equal(a, b)


def test_wrong_number_of_dilations():
    with pytest.raises(ValueError, match=r'\[1, 2, 3, 4, 3, 3, 1\] blocks'):
        DilatedMobileNetV2(dilations=[[1]] * 7)
