"""Custom keys that match no parameter."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from torch import nn

from mmkd.cli.paramwise import check_custom_keys


def check(*keys: str) -> None:
    model = nn.ModuleDict(
        dict(
            backbone=nn.ModuleDict(dict(layer4=nn.Linear(2, 2))),
            head=nn.BatchNorm1d(2),
        )
    )
    custom = {key: dict(lr_mult=0.1) for key in keys}
    config = Config(
        dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=custom)))
    )
    check_custom_keys(config, model)


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('bakbone', 'backbone'),
        ('backbone.layre4', 'backbone.layer4'),
        ('haed', 'head'),
    ],
)
def test_misspelt(key: str, meant: str) -> None:
    with pytest.raises(KeyError) as error:
        check('backbone', key)
    (message,) = error.value.args
    assert message.startswith(
        f'optim_wrapper.paramwise_cfg.custom_keys has the key "{key}"'
    )
    assert message.endswith(f'nearest: {meant}')


def test_others_stay() -> None:
    """Parts of names, and names that only other variants have."""
    keys = ['backbone', 'layer', 'head.weight', 'absolute_pos_embed', 'layer5']
    assert check(*keys) is None
