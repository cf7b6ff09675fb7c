"""Weights under other names, in the same order."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.models.backbones.repdistiller_weights import (
    convert_classifier,
    read_repdistiller,
)
from mmkd.networks import build_network

ROOT = Path(__file__).parents[3]
CONFIG = str(ROOT / 'configs/hssakd/baseline_wrn_16_2_cifar100.py')
STEMS = {'head.fc': 'fc', 'backbone.bn_last': 'bn1', 'backbone.': ''}


def theirs(network: Any) -> dict[str, torch.Tensor]:
    """Rename as that repository's wide residual network is named."""
    state = {}
    for key, value in network.state_dict().items():
        if key.endswith('num_batches_tracked'):
            continue
        for own, other in STEMS.items():
            key = key.replace(own, other)
        for stage in (1, 2, 3):
            key = key.replace(f'layer{stage}.', f'block{stage}.layer.')
        state['module.' + key] = value
    return state


def test_round_trip(tmp_path: Path) -> None:
    network = build_network(CONFIG)
    path = tmp_path / 'theirs.pth'
    content = dict(
        opt=argparse.Namespace(model='wrn_16_2'), model=theirs(network)
    )
    torch.save(content, path)
    spec = importlib.util.spec_from_file_location(
        'repdistiller', ROOT / 'tools/model_converters/repdistiller.py'
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    out = tmp_path / 'folder' / 'ours.pth'
    tool.main([CONFIG, str(path), str(out)])
    other = build_network(CONFIG)
    other.load_state_dict(torch.load(out)['state_dict'], strict=True)
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_other_networks_are_refused(tmp_path: Path) -> None:
    network = build_network(CONFIG)
    state = theirs(network)
    smaller = dict(list(state.items())[:-1])
    with pytest.raises(ValueError, match='of another network; give its conf'):
        convert_classifier(smaller, network)
    key = next(reversed(state))
    with pytest.raises(ValueError, match=r'"head.fc.bias" .* is \(100,\)'):
        convert_classifier({**state, key: torch.ones(7)}, network)
    torch.save(dict(epoch=3), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='holds no weights'):
        read_repdistiller(tmp_path / 'a.pth')
