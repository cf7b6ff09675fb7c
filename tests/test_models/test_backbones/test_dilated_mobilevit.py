"""MobileViT of output stride 8."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmpretrain')
from mmpretrain.models import MobileViT  # noqa: E402

from mmkd.models.backbones.dilated_mobilevit import (  # noqa: E402
    DilatedMobileViT,
)


def test_strides_and_dilations() -> None:
    net = DilatedMobileViT(out_indices=(2, 3, 4)).eval()
    sizes = [maps.shape[1:] for maps in net(torch.randn(1, 3, 64, 96))]
    assert sizes == [(48, 8, 12), (64, 8, 12), (320, 8, 12)]
    found = [layer[0].conv[-2].conv for layer in net.layers[2:]]
    assert [conv.dilation for conv in found] == [(1, 1), (2, 2), (4, 4)]
    assert [conv.stride for conv in found] == [(2, 2), (1, 1), (1, 1)]


def test_without_dilation_it_is_mmpretrains() -> None:
    plain = MobileViT('xx_small')
    plain.eval()  # returns nothing
    net = DilatedMobileViT(dilations=(1,) * 5).eval()
    net.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(net(x)[0], plain(x)[0])
    DilatedMobileViT().load_state_dict(plain.state_dict())


def test_mistakes() -> None:
    with pytest.raises(ValueError, match='arch=.tiny. is unknown'):
        DilatedMobileViT('tiny')
    with pytest.raises(ValueError, match='there are 5 stages'):
        DilatedMobileViT(dilations=(1, 2))
