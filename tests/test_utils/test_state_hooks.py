"""Networks that rewrite their state dict, inside other modules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.runner.checkpoint import get_state_dict
from mmengine.runner.checkpoint import load_state_dict as mm_load
from torch import nn

pytest.importorskip('mmpretrain')
from mmkd.networks import build_network  # noqa: E402
from mmkd.utils.state_hooks import confine_hooks  # noqa: E402
from tests.support.library_classifier import (  # noqa: E402
    ForgetfulBackbone,
    small_network,
)

SPEC = dict(type='LibraryClassifier', _scope_='mmpretrain')


@pytest.mark.parametrize('read', [nn.Module.state_dict, get_state_dict])
def test_keys_inside_are_those_alone(read: Any) -> None:
    network = build_network(SPEC)
    own = small_network(8, 7).state_dict()
    assert list(read(network)) == list(own)
    pair = nn.ModuleDict(dict(a=network, b=copy.deepcopy(network)))
    keys = list(read(nn.ModuleDict(dict(x=pair, last=nn.Linear(1, 1)))))
    assert keys == [
        *(f'x.{part}.{key}' for part in 'ab' for key in own),
        'last.weight',
        'last.bias',
    ]
    versions = read(pair)._metadata
    assert versions['a.model.bn1']['version'] == 2


@pytest.mark.parametrize('strict', [True, False])
def test_what_is_saved_is_loaded(strict: bool) -> None:
    torch.manual_seed(1)
    one, two = (
        nn.ModuleDict(dict(a=build_network(SPEC), b=build_network(SPEC)))
        for _ in range(2)
    )
    other = copy.deepcopy(two)
    two.load_state_dict(one.state_dict(), strict=strict)
    mm_load(other, get_state_dict(one), strict=strict)
    for found in (two, other):
        for key, value in one.state_dict().items():
            assert torch.equal(found.state_dict()[key], value), key


def test_neighbours_keep_their_keys() -> None:
    peers = [
        confine_hooks(
            nn.ModuleDict(
                dict(backbone=ForgetfulBackbone(), fc=nn.Linear(1, 1))
            )
        )
        for _ in range(2)
    ]
    names = ['backbone.lora.weight', 'backbone.lora.bias']
    names += ['fc.weight', 'fc.bias']
    assert list(peers[0].state_dict()) == names
    both = nn.ModuleList(peers).state_dict()
    assert list(both) == [f'{k}.{name}' for k in (0, 1) for name in names]


def test_confined_twice_is_confined_once() -> None:
    network = build_network(SPEC)
    hooks = dict(network._state_dict_hooks)
    confine_hooks(network)
    assert dict(network._state_dict_hooks) == hooks
