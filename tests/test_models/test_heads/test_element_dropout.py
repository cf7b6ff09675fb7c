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
