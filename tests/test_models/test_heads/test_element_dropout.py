"""Element-wise dropout in the stock heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')
from mmseg.registry import MODELS  # noqa: E402

SETTINGS = dict(
    in_channels=8,
    in_index=0,
    channels=4,
    num_classes=3,
    norm_cfg=dict(type='BN'),
    align_corners=True,
)


@pytest.mark.parametrize('name', ['PSPHead', 'FCNHead'])
def test_equals_the_stock_head_but_for_dropout(name):
    ours = MODELS.build(
        dict(type=f'mmkd.ElementDropout{name}', dropout_ratio=0.1, **SETTINGS)
    )
    stock = MODELS.build(dict(type=name, dropout_ratio=0.1, **SETTINGS))
    stock.load_state_dict(ours.state_dict(), strict=True)
    assert type(stock.dropout) is nn.Dropout2d
    assert type(ours.dropout) is nn.Dropout
    x = [torch.randn(2, 8, 6, 6)]
    assert torch.equal(ours.eval()(x), stock.eval()(x))


@pytest.mark.parametrize(
    'name',
    ['ElementDropoutPSPHead', 'ElementDropoutFCNHead', 'ASPPProjectHead'],
)
def test_initial_weights_are_those_of_pytorch(name):
    head = MODELS.build(dict(type=f'mmkd.{name}', **SETTINGS))
    before = {k: v.clone() for k, v in head.state_dict().items()}
    head.init_weights()
    layers = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) > 2
    for layer in layers:
        limit = layer.weight[0].numel() ** -0.5  # uniform in +- limit
        assert layer.weight.abs().max() <= limit
        assert layer.weight.abs().max() > 0.8 * limit
    assert head.conv_seg.bias.abs().max() > 0
    changed = before['conv_seg.weight'] != head.conv_seg.weight
    assert changed.all()


def test_a_given_init_cfg_is_applied():
    given = dict(type='Constant', layer='Conv2d', val=0.5)
    head = MODELS.build(
        dict(type='mmkd.ElementDropoutFCNHead', init_cfg=given, **SETTINGS)
    )
    head.init_weights()
    assert (head.conv_seg.weight == 0.5).all()
